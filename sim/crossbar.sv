// SPDX-License-Identifier: Apache-2.0
// The behavioral crossbar of ideal cells: one source for Icarus Verilog and Verilator, behind the analog boundary
// (docs/boundary.md). device_crossbar.sv is the one that errs, with the same ports.
//
// It measures the pulses it is given, integrates, holds, and compares with its own ramps on each tick. It acts in the
// middle of each clock, on the falling edge: every pin is settled then, and its answer is there before the next edge.
//
// The content comes from the folder that `+array=FOLDER` names, written by crossramp.sim.programming: integers, in MAC
// units. They are held as reals, in which integers below 2**53 are exact.
//
// `+array_stall=PERCENT` (with `+seed=N`) holds `ready` low on that share of the clocks that may wait.

`timescale 1ns / 1ps

/* verilator lint_save */
/* verilator lint_off BLKSEQ */  // a bench computes in variables, in the order of its lines
/* verilator lint_off DECLFILENAME */  // modules begin with crossramp_, files do not

module crossramp_crossbar #(
    parameter ROWS = 1,
    parameter UNITS = 1,
    parameter TICKS = 3,
    parameter RAMPS = 1,
    parameter CALIBRATION_CELLS = 0,  // of each ramp
    parameter [31:0] RAMP_OF_BANK = 0,  // 8 bits each, bank i lowest
    // For device_crossbar.sv, whose integrators forget; not needed here, nor is the pin `state`.
    /* verilator lint_off UNUSEDPARAM */
    parameter INPUT_MAX = 1,
    parameter STATE_PULSE_MAX = 1
    /* verilator lint_on UNUSEDPARAM */
) (
    input clk,
    input [ROWS-1:0] row_pos,
    input [ROWS-1:0] row_neg,
    input [UNITS-1:0] state_pos,
    input [UNITS-1:0] state_neg,
    /* verilator lint_off UNUSEDSIGNAL */
    input state,
    /* verilator lint_on UNUSEDSIGNAL */
    input integrate,
    input reset,
    input hold,
    input ramp_reset,
    input tick,
    input [TICKS-1:0] tap,
    // One bit that nothing reads where there are no cells.
    input [(RAMPS*CALIBRATION_CELLS > 0 ? RAMPS*CALIBRATION_CELLS : 1)-1:0] calibration,
    output reg [4*UNITS-1:0] comparators,
    output reg ready
);
  localparam COLUMNS = 4 * UNITS;
  localparam CELLS = RAMPS * CALIBRATION_CELLS > 0 ? RAMPS * CALIBRATION_CELLS : 1;

  // What the array is programmed with.
  real weight[0:ROWS*COLUMNS-1];
  real state_cell[0:UNITS-1];
  real ramp_start[0:RAMPS-1];
  real ramp_step[0:RAMPS*TICKS-1];
  real calibration_cell[0:CELLS-1];

  // Clocks each line was driven in this window: positive minus negative.
  integer row_clocks[0:ROWS-1];
  integer state_clocks[0:UNITS-1];
  reg summed;  // value[] belongs to the clocks counted
  reg empty;  // no clock was counted since the reset
  real value[0:COLUMNS-1];
  real level[0:RAMPS-1];
  real charge;
  reg [COLUMNS-1:0] exceeds;  // all at once becomes the output: one event for the simulator, not one a column

  string folder;
  integer stall;
  reg [31:0] random;
  integer r, u, c, k, b;

  // ---- content ---------------------------------------------------------------------------------------------------
  // Integers are read as 32-bit words into one array that is long enough for any file.
  localparam WORDS = ROWS * COLUMNS > RAMPS * TICKS ? ROWS * COLUMNS : RAMPS * TICKS;
  localparam MOST = WORDS > CELLS ? WORDS : CELLS;
  reg signed [31:0] words[0:MOST-1];
  integer file, found;

  // Icarus takes no strings as task arguments: the file's path is in `path`.
  string path;

  task open;
    begin
      file = $fopen(path, "r");
      if (file == 0) begin
        $display("crossbar: cannot read %0s; write it with crossramp.sim.programming and give +array=FOLDER", path);
        $fatal(1);
      end
    end
  endtask

  task read_integers(input integer count);
    begin
      open;
      for (k = 0; k < count; k = k + 1) begin
        found = $fscanf(file, "%h", words[k]);
        if (found != 1) short;
      end
      $fclose(file);
    end
  endtask

  task short;
    begin
      $display("crossbar: %0s ends after %0d values; write the folder anew", path, k);
      $fatal(1);
    end
  endtask

  initial begin
    comparators = 0;
    ready = 1;
    summed = 0;
    empty = 1;
    for (r = 0; r < ROWS; r = r + 1) row_clocks[r] = 0;
    for (u = 0; u < UNITS; u = u + 1) state_clocks[u] = 0;
    for (c = 0; c < COLUMNS; c = c + 1) value[c] = 0.0;
    if (!$value$plusargs("array=%s", folder)) folder = "vectors/array";
    if (!$value$plusargs("array_stall=%d", stall)) stall = 0;
    if (!$value$plusargs("seed=%d", random)) random = 1;
    random = random * 32'd2654435761 ^ 32'h9e3779b9;
    if (random == 0) random = 1;
    path = {folder, "/weights.hex"};
    read_integers(ROWS * COLUMNS);
    for (k = 0; k < ROWS * COLUMNS; k = k + 1) weight[k] = $itor(words[k]);
    path = {folder, "/state_cells.hex"};
    read_integers(UNITS);
    for (k = 0; k < UNITS; k = k + 1) state_cell[k] = $itor(words[k]);
    path = {folder, "/ramp_start.hex"};
    read_integers(RAMPS);
    for (k = 0; k < RAMPS; k = k + 1) ramp_start[k] = $itor(words[k]);
    path = {folder, "/ramp_steps.hex"};
    read_integers(RAMPS * TICKS);
    for (k = 0; k < RAMPS * TICKS; k = k + 1) ramp_step[k] = $itor(words[k]);
    path = {folder, "/calibration_cells.hex"};
    read_integers(RAMPS * CALIBRATION_CELLS);
    for (k = 0; k < RAMPS * CALIBRATION_CELLS; k = k + 1) calibration_cell[k] = $itor(words[k]);
    for (k = 0; k < RAMPS; k = k + 1) level[k] = ramp_start[k];
  end

  // ---- the array -------------------------------------------------------------------------------------------------
  always @(negedge clk) begin
    if (reset) begin
      if (!empty) begin
        for (r = 0; r < ROWS; r = r + 1) row_clocks[r] = 0;
        for (u = 0; u < UNITS; u = u + 1) state_clocks[u] = 0;
      end
      empty = 1;
      summed = 0;
    end else if (integrate) begin
      if (|row_pos || |row_neg)
        for (r = 0; r < ROWS; r = r + 1) begin
          if (row_pos[r]) row_clocks[r] = row_clocks[r] + 1;
          if (row_neg[r]) row_clocks[r] = row_clocks[r] - 1;
        end
      if (|state_pos || |state_neg)
        for (u = 0; u < UNITS; u = u + 1) begin
          if (state_pos[u]) state_clocks[u] = state_clocks[u] + 1;
          if (state_neg[u]) state_clocks[u] = state_clocks[u] - 1;
        end
      empty = 0;
      summed = 0;
    end else if (hold && !summed) begin
      // The window has closed: add up once what its clocks brought.
      for (c = 0; c < COLUMNS; c = c + 1) value[c] = 0.0;
      for (r = 0; r < ROWS; r = r + 1)
        if (row_clocks[r] != 0) begin
          charge = $itor(row_clocks[r]);
          for (c = 0; c < COLUMNS; c = c + 1) value[c] = value[c] + charge * weight[r*COLUMNS+c];
        end
      for (u = 0; u < UNITS; u = u + 1)
        if (state_clocks[u] != 0)
          value[2*UNITS+u] = value[2*UNITS+u] + $itor(state_clocks[u]) * state_cell[u];
      summed = 1;
    end

    if (ramp_reset)
      for (k = 0; k < RAMPS; k = k + 1) begin
        level[k] = ramp_start[k];
        for (u = 0; u < CALIBRATION_CELLS; u = u + 1)
          if (calibration[k*CALIBRATION_CELLS+u]) level[k] = level[k] + calibration_cell[k*CALIBRATION_CELLS+u];
      end

    if (tick) begin
      // Every tap that is high acts, as it would on the wire: a tap that is not one-hot spoils the ramp.
      for (k = 0; k < TICKS; k = k + 1)
        if (tap[k])
          for (r = 0; r < RAMPS; r = r + 1) level[r] = level[r] + ramp_step[r*TICKS+k];
      for (b = 0; b < 4; b = b + 1) begin
        k = {24'd0, RAMP_OF_BANK[8*b+:8]};
        charge = level[k];
        for (u = 0; u < UNITS; u = u + 1) exceeds[b*UNITS+u] = value[b*UNITS+u] > charge;
      end
      comparators = exceeds;
    end

    if (stall != 0) begin
      random = random ^ (random << 13);
      random = random ^ (random >> 17);
      random = random ^ (random << 5);
      ready = {16'd0, random[15:0]} % 100 >= stall;
    end
  end
endmodule

/* verilator lint_restore */
