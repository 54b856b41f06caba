// SPDX-License-Identifier: Apache-2.0
// A stream source that counts, and breaks the rules of ready/valid on clock 8 as `fault` says.
module misbehavior (
    input clk,
    input rst,
    input [1:0] fault,
    input s_ready,
    output s_valid,
    output [7:0] s_value
);
  localparam CHANGES = 1, FALLS = 2, SILENT = 3;
  reg [7:0] clocks, sent;
  always @(posedge clk)
    if (rst) begin
      clocks <= 0;
      sent <= 0;
    end else begin
      clocks <= clocks + 1;
      if (s_valid && s_ready) sent <= sent + 1;
    end
  assign s_valid = fault != SILENT && !(fault == FALLS && clocks == 8);
  assign s_value = sent ^ (fault == CHANGES && clocks == 8 ? 8'h80 : 8'h00);
endmodule
