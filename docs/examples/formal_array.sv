// SPDX-License-Identifier: Apache-2.0
// An array for crossramp prove --array, in digital logic, as a wrapper around converters of your own would be: it needs
// a clock to decide, and lets the periphery wait meanwhile. Every column adds up row 0, and column c starts at c.

module formal_array #(
    parameter ROWS = 1,
    parameter UNITS = 1,
    parameter TICKS = 3,
    parameter CALIBRATION = 1,
    parameter COLUMNS = 4
) (
    input clk,
    input [ROWS-1:0] row_pos,
    input [ROWS-1:0] row_neg,
    input [UNITS-1:0] state_pos,
    input [UNITS-1:0] state_neg,
    input state,
    input integrate,
    input reset,
    input hold,
    input ramp_reset,
    input tick,
    input [TICKS-1:0] tap,
    input [CALIBRATION-1:0] calibration,
    output reg [COLUMNS-1:0] comparators,
    output ready
);
  reg [15:0] value[COLUMNS-1:0];
  reg [15:0] level;
  reg deciding;  // the comparators of the present tick are not there yet
  assign ready = !(tick || deciding);

  integer c;
  initial deciding = 0;
  always @(posedge clk) begin
    if (reset) for (c = 0; c < COLUMNS; c = c + 1) value[c] <= c;
    else if (integrate && row_pos[0]) for (c = 0; c < COLUMNS; c = c + 1) value[c] <= value[c] + 1;
    if (ramp_reset) level <= 0;
    else if (tick) level <= level + 1;
    deciding <= tick;
    if (deciding) for (c = 0; c < COLUMNS; c = c + 1) comparators[c] <= value[c] > level;
  end

`ifdef FORMAL
  // Your own properties stand beside the rules of the boundary: yosys reads immediate assertions.
  always @(*) if (hold && !ramp_reset) assert (level <= TICKS);
`endif
endmodule
