// SPDX-License-Identifier: Apache-2.0
// The behavioral crossbar of ideal cells: one source for Icarus Verilog and Verilator, behind the analog boundary
// (docs/boundary.md). device_crossbar.sv is the one that errs, with the same ports.
//
// Sizes and ports are those of golden/spec/boundary_wires.py, put in by crossramp.sim.array.boundary_verilog.
//
// It measures the pulses it is given, integrates, holds, and compares with its own ramps on each tick. It acts in the
// middle of each clock, on the falling edge: every pin is settled then, and its answer is there before the next edge.
//
// The content comes from the folder that `+array=FOLDER` names, written by crossramp.sim.array.programming: integers, in MAC
// units. They are held as reals, in which integers below 2**53 are exact.
//
// `+array_stall=PERCENT` (with `+seed=N`) holds `ready` low on that share of the clocks that may wait.

`timescale 1ns / 1ps

/* verilator lint_save */
/* verilator lint_off BLKSEQ */  // a bench computes in variables, in the order of its lines
/* verilator lint_off DECLFILENAME */  // modules begin with crossramp_, files do not

module crossramp_crossbar #(
`include "boundary_sizes.svh"
    parameter FOLDER = "",  // of this array of several, below the one that is named
    parameter RAMPS = 1,
    parameter CALIBRATION_CELLS = 0,  // of each ramp
    parameter BANKS = 1,  // of UNITS adjacent columns each
    parameter [8*BANKS-1:0] RAMP_OF_BANK = 0,  // 8 bits each, the first bank lowest
    parameter [BANKS-1:0] HELD_BANKS = 0,  // those that the second reset wire empties
    parameter LINE_CELLS = 0,  // banks that a line has cells on: UNITS cells each, in the order of state_cells
    parameter LINE_OF_CELL = 8'h0,  // 8 bits each, the first one lowest
    parameter BANK_OF_CELL = 8'h0,
    // For device_crossbar.sv, with noise and integrators that forget; not needed here, nor is the pin `state`.
    /* verilator lint_off UNUSEDPARAM */
    parameter CROSSINGS = 1,
    parameter CROSSING_OF_BANK = 8'h0,
    parameter FIRST_WINDOW = 1,
    parameter SECOND_WINDOW = 0,
    parameter CHARGE_BITS = 0
    /* verilator lint_on UNUSEDPARAM */
) (
    input clk,
    /* verilator lint_off UNUSEDSIGNAL */
`include "array_ports.svh"
    /* verilator lint_on UNUSEDSIGNAL */
);

  // What the array is programmed with.
`ifdef __ICARUS__
  // Icarus adds one wide number sooner than many small ones: a row's weights are the sum of weight * 2**(32 * column).
  localparam WIDE = 32 * COLUMNS;
  reg signed [WIDE-1:0] weights[0:ROWS-1];
  reg signed [WIDE-1:0] sums;
  wire signed [WIDE-1:0] middle = {COLUMNS{32'h8000_0000}};  // 2**31 a column: no sum borrows from the next
  reg signed [31:0] one_sum;
`else
  real weight[0:ROWS*COLUMNS-1];
`endif
  localparam CELLS = LINE_CELLS > 0 ? LINE_CELLS * UNITS : 1;
  real state_cell[0:CELLS-1];
  real ramp_start[0:RAMPS-1];
  real ramp_step[0:RAMPS*TICKS-1];
  real calibration_cell[0:CALIBRATION-1];

  // Clocks each row and line was driven since it counted from zero, by polarity: bit k of every count is in element k.
  // It counts from zero behind every reset; what a bank brought along that this reset did not empty is in `kept`.
  localparam PLANES = 32;
  localparam NEGATIVE = ROWS;  // where the rows' negative lines begin, behind their positive ones
  localparam STATE = 2 * ROWS;  // where the lines' positive wires begin
  localparam STATE_NEGATIVE = STATE + STATE_LINES;
  localparam LINES = STATE + 2 * STATE_LINES;
  reg [LINES-1:0] line_clocks[0:PLANES-1];
  reg [LINES-1:0] carry, was;
  integer planes;  // elements from here on are zero
  integer driven;
  reg summed;  // value[] belongs to the clocks counted
  reg empty;  // no clock was counted since the reset
  real value[0:COLUMNS-1];
  localparam KEEPS = RESETS > 1;
  real kept[0:COLUMNS-1];
  reg keeping;  // one of them is not zero
  reg [RESETS-1:0] was_reset;
  real level[0:RAMPS-1];
  real charge;
  reg [TICKS-1:0] expected_tap;  // the one after the tick before
  integer expected;  // its number
  reg [COLUMNS-1:0] exceeds;  // all at once becomes the output: one event for the simulator, not one a column
  // A column falls when the ramp passes its value, and ramps rise: a bank is looked at only when its ramp has passed
  // the lowest value that still exceeds it, and of its columns only those that do. One that falls back starts anew.
  integer above[0:COLUMNS-1];  // the columns that exceed their ramp: those of bank b from b * UNITS on
  integer remaining[0:BANKS-1];  // how many
  real lowest[0:BANKS-1];  // value among them
  real passed[0:BANKS-1];  // level of the bank's ramp at the last comparison
  real lowest_above;
  reg anew;

  string folder;
  integer stall;
  reg [31:0] random;
  integer r, u, c, k, b, line;

  // ---- content ---------------------------------------------------------------------------------------------------
  // Integers are read as 32-bit words into one array that is long enough for any file.
  localparam WORDS = ROWS * COLUMNS > RAMPS * TICKS ? ROWS * COLUMNS : RAMPS * TICKS;
  localparam MOST = WORDS > CALIBRATION ? WORDS : CALIBRATION;
  reg signed [31:0] words[0:MOST-1];
  localparam [31:0] MISSING = 32'h8000_0000;  // no value of an array is
  integer file, found;

  // Icarus takes no strings as task arguments: the file's path is in `path`.
  string path;

  task open;
    begin
      file = $fopen(path, "r");
      if (file == 0) begin
        $display("crossbar: cannot read %0s; write it with crossramp.sim.array.programming and give +array=FOLDER", path);
        $fatal(1);
      end
    end
  endtask

  task read_integers(input integer values);
    begin
      open;
      if (values != 0) begin
        words[values-1] = MISSING;
        $readmemh(path, words, 0, values - 1);
        if (words[values-1] == MISSING)
          for (k = 0; k < values; k = k + 1) begin
            found = $fscanf(file, "%h", words[k]);
            if (found != 1) short;
          end
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
    anew = 1;
    empty = 1;
    keeping = 0;
    was_reset = 0;
    expected_tap = 1;
    expected = 0;
    planes = PLANES;
    forget;
    for (c = 0; c < COLUMNS; c = c + 1) begin
      value[c] = 0.0;
      kept[c] = 0.0;
    end
    if (!$value$plusargs("array=%s", folder)) folder = "vectors/array";
    if (FOLDER != "") folder = {folder, "/", FOLDER};
    if (!$value$plusargs("array_stall=%d", stall)) stall = 0;
    if (!$value$plusargs("seed=%d", random)) random = 1;
    random = random * 32'd2654435761 ^ 32'h9e3779b9;
    if (random == 0) random = 1;
    path = {folder, "/weights.hex"};
    read_integers(ROWS * COLUMNS);
`ifdef __ICARUS__
    k = 0;
    for (r = 0; r < ROWS; r = r + 1) begin
      for (c = 0; c < COLUMNS; c = c + 1) begin
        sums[32*c+:32] = words[k];
        k = k + 1;
      end
      weights[r] = sums - ((sums & {COLUMNS{32'h8000_0000}}) << 1);  // a negative one borrows from the next column
    end
`else
    for (k = 0; k < ROWS * COLUMNS; k = k + 1) weight[k] = $itor(words[k]);
`endif
    path = {folder, "/state_cells.hex"};
    read_integers(LINE_CELLS * UNITS);
    for (k = 0; k < LINE_CELLS * UNITS; k = k + 1) state_cell[k] = $itor(words[k]);
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

  task forget;
    begin
      for (k = 0; k < planes; k = k + 1) line_clocks[k] = 0;
      planes = 0;
    end
  endtask

  // One clock more for every line that is driven: an addition of all lines' bits at once, carry by carry.
  task count;
    begin
      carry = {state_neg, state_pos, row_neg, row_pos};
      for (k = 0; k < PLANES && carry != 0; k = k + 1) begin
        was = line_clocks[k];
        line_clocks[k] = was ^ carry;
        carry = was & carry;
        if (k >= planes) planes = k + 1;
      end
    end
  endtask

  // What the integrators hold, of the clocks that were counted.
  task add_up;
    begin
`ifdef __ICARUS__
      sums = 0;
      for (k = planes - 1; k >= 0; k = k - 1) begin
        sums = sums << 1;
        for (r = 0; r < ROWS; r = r + 1) begin
          if (line_clocks[k][r]) sums = sums + weights[r];
          if (line_clocks[k][NEGATIVE+r]) sums = sums - weights[r];
        end
      end
      sums = sums + middle;
      for (c = 0; c < COLUMNS; c = c + 1) begin
        one_sum = sums[32*c+:32] ^ 32'h8000_0000;
        value[c] = $itor(one_sum);
      end
`else
      for (c = 0; c < COLUMNS; c = c + 1) value[c] = 0.0;
      for (r = 0; r < ROWS; r = r + 1) begin
        driven = 0;
        for (k = 0; k < planes; k = k + 1) begin
          if (line_clocks[k][r]) driven = driven + (1 << k);
          if (line_clocks[k][NEGATIVE+r]) driven = driven - (1 << k);
        end
        if (driven != 0) begin
          charge = $itor(driven);
          for (c = 0; c < COLUMNS; c = c + 1) value[c] = value[c] + charge * weight[r*COLUMNS+c];
        end
      end
`endif
      for (b = 0; b < LINE_CELLS; b = b + 1) begin
        line = UNITS * {24'd0, LINE_OF_CELL[8*b+:8]};
        c = UNITS * {24'd0, BANK_OF_CELL[8*b+:8]};
        for (u = 0; u < UNITS; u = u + 1) begin
          driven = 0;
          for (k = 0; k < planes; k = k + 1) begin
            if (line_clocks[k][STATE+line+u]) driven = driven + (1 << k);
            if (line_clocks[k][STATE_NEGATIVE+line+u]) driven = driven - (1 << k);
          end
          if (driven != 0) value[c+u] = value[c+u] + $itor(driven) * state_cell[b*UNITS+u];
        end
      end
      if (KEEPS && keeping) for (c = 0; c < COLUMNS; c = c + 1) value[c] = value[c] + kept[c];
    end
  endtask

  // A reset of some banks: the others keep what they hold, and the count starts anew for all.
  task keep;
    begin
      if (!summed) add_up;
      keeping = 0;
      for (b = 0; b < BANKS; b = b + 1)
        for (c = b * UNITS; c < b * UNITS + UNITS; c = c + 1) begin
          kept[c] = (HELD_BANKS[b] ? reset[RESETS-1] : reset[0]) ? 0.0 : value[c];
          if (kept[c] != 0.0) keeping = 1;
        end
    end
  endtask

  // Bank b, whose ramp is at `charge`: which of its columns in `above` still exceed it.
  task compare;
    begin
      k = b * UNITS;
      for (u = b * UNITS; u < b * UNITS + remaining[b]; u = u + 1) begin
        c = above[u];
        if (value[c] > charge) begin
          if (k == b * UNITS || value[c] < lowest_above) lowest_above = value[c];
          above[k] = c;
          k = k + 1;
        end else exceeds[c] = 1'b0;
      end
      remaining[b] = k - b * UNITS;
      lowest[b] = lowest_above;
    end
  endtask

  // ---- the array -------------------------------------------------------------------------------------------------
  always @(negedge clk) begin
    if (reset != 0) begin
      if (KEEPS && (!empty || (keeping && reset != was_reset))) keep;
      if (!empty) forget;
      empty = 1;
      summed = 0;
    end else if (integrate) begin
      count;
      empty = 0;
      summed = 0;
    end else if (hold && !summed) begin
      // The window has closed.
      add_up;
      summed = 1;
      anew = 1;
    end

    if (KEEPS) was_reset = reset;

    if (ramp_reset) begin
      expected_tap = 1;
      expected = 0;
      for (k = 0; k < RAMPS; k = k + 1) begin
        level[k] = ramp_start[k];
        for (u = 0; u < CALIBRATION_CELLS; u = u + 1)
          if (calibration[k*CALIBRATION_CELLS+u]) level[k] = level[k] + calibration_cell[k*CALIBRATION_CELLS+u];
      end
    end

    if (tick) begin
      // Every tap that is high acts, as it would on the wire: a tap that is not one-hot spoils the ramp.
      if (tap == expected_tap) for (r = 0; r < RAMPS; r = r + 1) level[r] = level[r] + ramp_step[r*TICKS+expected];
      else
        for (k = 0; k < TICKS; k = k + 1)
          if (tap[k])
            for (r = 0; r < RAMPS; r = r + 1) level[r] = level[r] + ramp_step[r*TICKS+k];
      expected_tap = expected_tap << 1;
      expected = expected + 1;
      for (b = 0; b < BANKS; b = b + 1) begin
        k = {24'd0, RAMP_OF_BANK[8*b+:8]};
        charge = level[k];
        if (anew || charge < passed[b]) begin
          for (u = 0; u < UNITS; u = u + 1) above[b*UNITS+u] = b * UNITS + u;
          remaining[b] = UNITS;
          for (u = b * UNITS; u < b * UNITS + UNITS; u = u + 1) exceeds[u] = 1'b1;
          compare;
        end else if (remaining[b] != 0 && lowest[b] <= charge) compare;
        passed[b] = charge;
      end
      anew = 0;
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
