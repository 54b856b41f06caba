// SPDX-License-Identifier: Apache-2.0
// The crossbar as one device instance: the ports of crossbar.sv, which a bench builds with one or the other, and the
// arithmetic of golden/analog/conversion/device.py, whose every number it reads from `device.bin` in the folder that
// `+array=FOLDER` names (written by crossramp.sim.array.programming). crossramp.sim.array.boundary_verilog puts in sizes
// and ports.
//
// Every code equals the golden model's for the same instance: IEEE doubles, in the same order wherever an operation
// rounds. So no compiler may fuse a multiplication and an addition into one rounding (-ffp-contract=off).
//
// A conversion is numbered, and draws its noise, on the first clock of `hold` behind a window; the first one is 0.
// Banks that hold droop on the first clock of a second conversion's window.
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
    parameter CROSSINGS = 1,  // sets of rows that banks have cells on: each has noise that its columns share
    parameter CROSSING_OF_BANK = 8'h0,  // 8 bits each
    parameter FIRST_WINDOW = 1,  // clocks of the first conversion's window
    parameter SECOND_WINDOW = 0,  // of the second's; 0 where a step has one
    parameter CHARGE_BITS = 0  // behind the point of a charge
) (
    input clk,
`include "array_ports.svh"
);
  // Which normals of a conversion are the ramps' steps', the decisions', and those that columns share. Each of them
  // begins at a multiple of 4, behind the columns' own.
  localparam STEPS = (COLUMNS + 3) / 4 * 4;
  localparam DECISIONS = STEPS + (RAMPS * TICKS + 3) / 4 * 4;
  localparam COMMON = DECISIONS + (TICKS * COLUMNS + 3) / 4 * 4;
  localparam QUANTILES = 32768;
  localparam CELLS = LINE_CELLS * UNITS;
  localparam HELD = RESETS - 1;  // the reset wire of banks that hold, and their number among the counts
  localparam HOLDS = $countones(HELD_BANKS);

  // ---- the instance: MAC units -----------------------------------------------------------------------------------
  real weight[0:ROWS*COLUMNS-1];
  real state_cell[0:CELLS > 0 ? CELLS - 1 : 0];
  real ramp_start[0:RAMPS-1];
  real ramp_step[0:RAMPS*TICKS-1];
  real calibration_cell[0:CALIBRATION-1];
  real window[0:FIRST_WINDOW-1];
  real state_window[0:SECOND_WINDOW > 0 ? SECOND_WINDOW - 1 : 0];
  real limit[0:FIRST_WINDOW-1];
  real state_limit[0:SECOND_WINDOW > 0 ? SECOND_WINDOW - 1 : 0];
  real hold_gain[0:BANKS-1];  // 1 of banks that do not hold
  real variance[0:ROWS*COLUMNS-1];
  real state_variance[0:CELLS > 0 ? CELLS - 1 : 0];
  real common_variance[0:ROWS*CROSSINGS-1];
  real noise_variance[0:COLUMNS-1];
  real offset[0:COLUMNS-1];
  real ramp_noise[0:RAMPS*TICKS-1];
  real rise[0:TICKS-1];
  integer delay[0:COLUMNS-1];
  real compression, comparator_noise;
  real quantile[0:QUANTILES-1];  // of the normal distribution, its upper half
  reg [63:0] origin;  // of the noise's counter
  // Effects that are off cost nothing.
  reg row_noise, state_noise, column_noise, common_noise, ramp_noisy, late;

  // ---- what the pins have made of it -----------------------------------------------------------------------------
  // Clocks that each row and line was driven, positive minus negative, since each reset wire was high: of the first
  // one with `state` low, then high, and the same of the second one, whose banks may hold two windows.
  integer row_clocks[0:2*RESETS*ROWS-1];
  integer line_clocks[0:2*RESETS*STATE_LINES-1];
  reg [RESETS-1:0] filled, emptied;  // some clock was counted since that wire was high; the wires that empty now
  reg [ROWS-1:0] last_pos, last_neg;  // what is driven in `rate`
  reg [STATE_LINES-1:0] last_state_pos, last_state_neg;
  real rate[0:COLUMNS-1];  // what one clock of the lines that are driven brings
  real charge[0:COLUMNS-1];
  integer clocks;  // of windows since the reset
  reg held;  // value[] belongs to the charge
  reg [31:0] number;  // of the conversion
  real row_squares[0:RESETS*ROWS-1];  // of the counts, for each reset wire
  real squares[0:COLUMNS-1];
  real value[0:COLUMNS-1];
  real lowest[0:COLUMNS-1];  // value with the largest noise of either sign
  real highest[0:COLUMNS-1];
  real level[0:RAMPS-1];
  integer count;  // ticks since the ramp's reset
  reg [COLUMNS-1:0] exceeds;
  reg [COLUMNS-1:0] decided[0:TICKS];  // on each tick

  integer stall;
  reg [31:0] random;
  integer r, u, c, k, b, g, line;
  real gain, most, more, noise, y, threshold, scale;
  wire second = state && SECOND_WINDOW > 0;

  // ---- content ---------------------------------------------------------------------------------------------------
  // Words of 64 bits, most significant byte first: their number, then the doubles in the order of the reads below.
  localparam WORDS = 4 + 2 * (ROWS * COLUMNS + CELLS + RAMPS * TICKS + FIRST_WINDOW + SECOND_WINDOW) + RAMPS
      + RAMPS * CALIBRATION_CELLS + ROWS * CROSSINGS + 3 * COLUMNS + TICKS + HOLDS + QUANTILES;
  reg [63:0] words[0:WORDS-1];
  integer file, found, position;
  string folder, path;

  // The next number of the file.
  function real take(input unused);
    begin
      take = $bitstoreal(words[position]);
      position = position + 1;
    end
  endfunction

  initial begin
    comparators = 0;
    ready = 1;
    filled = {RESETS{1'b1}};
    emptied = {RESETS{1'b1}};
    empty;
    clocks = 0;
    held = 0;
    count = 0;
    number = 32'hffffffff;
    word_index = 0;
    word_number = 32'hfffffffe;  // no word is drawn yet
    for (c = 0; c < COLUMNS; c = c + 1) begin
      value[c] = 0.0;
      lowest[c] = 0.0;
      highest[c] = 0.0;
    end
    if (!$value$plusargs("array=%s", folder)) folder = "vectors/array";
    if (FOLDER != "") folder = {folder, "/", FOLDER};
    if (!$value$plusargs("array_stall=%d", stall)) stall = 0;
    if (!$value$plusargs("seed=%d", random)) random = 1;
    random = random * 32'd2654435761 ^ 32'h9e3779b9;
    if (random == 0) random = 1;
    path = {folder, "/device.bin"};
    file = $fopen(path, "rb");
    if (file == 0) begin
      $display("crossbar: cannot read %0s; write it with crossramp.sim.array.programming and give +array=FOLDER", path);
      $fatal(1);
    end
    found = $fread(words, file);
    $fclose(file);
    if (found != 8 * WORDS || words[0] != 64'(WORDS)) begin
      $display("crossbar: %0s is not for an array of these sizes: it has %0d bytes, of %0d; write it anew", path, found,
               8 * WORDS);
      $fatal(1);
    end
    origin = words[1];
    position = 2;
    compression = take(0);
    comparator_noise = take(0);
    for (k = 0; k < ROWS * COLUMNS; k = k + 1) weight[k] = take(0);
    for (k = 0; k < CELLS; k = k + 1) state_cell[k] = take(0);
    for (k = 0; k < RAMPS; k = k + 1) ramp_start[k] = take(0);
    for (k = 0; k < RAMPS * TICKS; k = k + 1) ramp_step[k] = take(0);
    for (k = 0; k < RAMPS * CALIBRATION_CELLS; k = k + 1) calibration_cell[k] = take(0);
    for (k = 0; k < FIRST_WINDOW; k = k + 1) window[k] = take(0);
    for (k = 0; k < SECOND_WINDOW; k = k + 1) state_window[k] = take(0);
    for (k = 0; k < FIRST_WINDOW; k = k + 1) limit[k] = take(0);
    for (k = 0; k < SECOND_WINDOW; k = k + 1) state_limit[k] = take(0);
    row_noise = 0;
    for (k = 0; k < ROWS * COLUMNS; k = k + 1) begin
      variance[k] = take(0);
      if (variance[k] != 0.0) row_noise = 1;
    end
    state_noise = 0;
    for (k = 0; k < CELLS; k = k + 1) begin
      state_variance[k] = take(0);
      if (state_variance[k] != 0.0) state_noise = 1;
    end
    common_noise = 0;
    for (k = 0; k < ROWS * CROSSINGS; k = k + 1) begin
      common_variance[k] = take(0);
      if (common_variance[k] != 0.0) common_noise = 1;
    end
    column_noise = row_noise || state_noise;
    for (k = 0; k < COLUMNS; k = k + 1) begin
      noise_variance[k] = take(0);
      if (noise_variance[k] != 0.0) column_noise = 1;
    end
    for (k = 0; k < COLUMNS; k = k + 1) offset[k] = take(0);
    ramp_noisy = 0;
    for (k = 0; k < RAMPS * TICKS; k = k + 1) begin
      ramp_noise[k] = take(0);
      if (ramp_noise[k] != 0.0) ramp_noisy = 1;
    end
    for (k = 0; k < TICKS; k = k + 1) rise[k] = take(0);
    late = 0;
    for (k = 0; k < COLUMNS; k = k + 1) begin
      delay[k] = $rtoi(take(0));
      if (delay[k] != 0) late = 1;
    end
    for (b = 0; b < BANKS; b = b + 1) hold_gain[b] = HELD_BANKS[b] ? take(0) : 1.0;
    scale = 2.0 ** CHARGE_BITS;
    for (k = 0; k < QUANTILES; k = k + 1) quantile[k] = take(0);
    for (k = 0; k < RAMPS; k = k + 1) level[k] = ramp_start[k];
  end

  // ---- noise: golden/analog/conversion/noise.py -----------------------------------------------------------------------------
  reg [63:0] word, mixed;  // the word drawn last serves four normals
  reg [29:0] word_index;
  reg [31:0] word_number;
  reg [15:0] part;
  reg [14:0] place;

  // Normal number `index` of this conversion.
  function real normal(input [31:0] index);
    begin
      if (index[31:2] != word_index || number != word_number) begin
        word_index = index[31:2];
        word_number = number;
        mixed = {number, 2'b00, word_index} + 64'd1;
        mixed = mixed * 64'h9e3779b97f4a7c15 + origin;
        mixed = (mixed ^ (mixed >> 30)) * 64'hbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 64'h94d049bb133111eb;
        word = mixed ^ (mixed >> 31);
      end
      part = word[16*index[1:0]+:16];
      place = part[15] ? part[14:0] : ~part[14:0];
      normal = part[15] ? quantile[place] : -quantile[place];
    end
  endfunction

  // ---- the window ------------------------------------------------------------------------------------------------
  task empty;
    begin
      for (g = 0; g < RESETS; g = g + 1)
        if (emptied[g]) begin
          for (k = 2 * g * ROWS; k < 2 * (g + 1) * ROWS; k = k + 1) row_clocks[k] = 0;
          for (k = 2 * g * STATE_LINES; k < 2 * (g + 1) * STATE_LINES; k = k + 1) line_clocks[k] = 0;
        end
      for (b = 0; b < BANKS; b = b + 1)
        if (HELD_BANKS[b] ? emptied[HELD] : emptied[0])
          for (c = b * UNITS; c < (b + 1) * UNITS; c = c + 1) charge[c] = 0.0;
      for (c = 0; c < COLUMNS; c = c + 1) rate[c] = 0.0;
      last_pos = 0;
      last_neg = 0;
      last_state_pos = 0;
      last_state_neg = 0;
      filled = filled & ~emptied;
    end
  endtask

  // The lines that changed since the last clock change the rate; sums of cells are exact in any order.
  task change_rate;
    begin
      for (r = 0; r < ROWS; r = r + 1)
        if (row_pos[r] != last_pos[r] || row_neg[r] != last_neg[r]) begin
          more = $itor(row_pos[r]) - $itor(row_neg[r]) - $itor(last_pos[r]) + $itor(last_neg[r]);
          for (c = 0; c < COLUMNS; c = c + 1) rate[c] = rate[c] + more * weight[r*COLUMNS+c];
        end
      for (b = 0; b < LINE_CELLS; b = b + 1) begin
        line = UNITS * {24'd0, LINE_OF_CELL[8*b+:8]};
        c = UNITS * {24'd0, BANK_OF_CELL[8*b+:8]};
        for (u = line; u < line + UNITS; u = u + 1) begin
          more = $itor(state_pos[u]) - $itor(state_neg[u]) - $itor(last_state_pos[u]) + $itor(last_state_neg[u]);
          rate[c+u-line] = rate[c+u-line] + more * state_cell[b*UNITS+u-line];
        end
      end
      last_pos = row_pos;
      last_neg = row_neg;
      last_state_pos = state_pos;
      last_state_neg = state_neg;
    end
  endtask

  task integrate_clock;
    begin
      if (row_pos != last_pos || row_neg != last_neg || state_pos != last_state_pos || state_neg != last_state_neg)
        change_rate;
      if (|row_pos || |row_neg)
        for (g = 0; g < RESETS; g = g + 1) begin
          k = (2 * g + (second ? 1 : 0)) * ROWS;
          for (r = 0; r < ROWS; r = r + 1) row_clocks[k+r] = row_clocks[k+r] + row_pos[r] - row_neg[r];
        end
      if (|state_pos || |state_neg)
        for (g = 0; g < RESETS; g = g + 1) begin
          k = (2 * g + (second ? 1 : 0)) * STATE_LINES;
          for (u = 0; u < STATE_LINES; u = u + 1) line_clocks[k+u] = line_clocks[k+u] + state_pos[u] - state_neg[u];
        end
      if (HOLDS > 0 && second && clocks == 0) droop;
      // A window that is too long goes on as its last clock.
      if (second) begin
        k = clocks < SECOND_WINDOW ? clocks : SECOND_WINDOW - 1;
        gain = state_window[k];
        most = state_limit[k];
      end else begin
        k = clocks < FIRST_WINDOW ? clocks : FIRST_WINDOW - 1;
        gain = window[k];
        most = limit[k];
      end
      for (c = 0; c < COLUMNS; c = c + 1) begin
        charge[c] = charge[c] + gain * rate[c];
        if (charge[c] > most) charge[c] = most;
        if (charge[c] < -most) charge[c] = -most;
      end
      clocks = clocks + 1;
      filled = {RESETS{1'b1}};
    end
  endtask

  // What is left, at the second window's end, of what banks that hold have from the first one.
  task droop;
    for (b = 0; b < BANKS; b = b + 1)
      if (HELD_BANKS[b])
        for (c = b * UNITS; c < (b + 1) * UNITS; c = c + 1)
          charge[c] = $floor(charge[c] * hold_gain[b] * scale + 0.5) / scale;
  endtask

  // ---- what the comparators see ----------------------------------------------------------------------------------
  task settle;
    begin
      for (c = 0; c < COLUMNS; c = c + 1) value[c] = charge[c];
      if (clocks != 0) begin
        number = number + 1;
        if (common_noise || row_noise) square_rows;
        if (common_noise) add_common_noise;
        if (column_noise) add_column_noise;
      end
      for (c = 0; c < COLUMNS; c = c + 1) begin
        if (compression != 0.0) begin
          y = (value[c] < 0.0 ? -value[c] : value[c]) * compression;
          value[c] = value[c] / (1.0 + y / 2.0 + y * y / 12.0);
        end
        value[c] = value[c] + offset[c];
        lowest[c] = value[c] - comparator_noise * quantile[QUANTILES-1];
        highest[c] = value[c] + comparator_noise * quantile[QUANTILES-1];
      end
    end
  endtask

  // A column may hold two windows: the squares of both add up.
  task square_rows;
    for (g = 0; g < RESETS; g = g + 1)
      for (r = 0; r < ROWS; r = r + 1) begin
        k = 2 * g * ROWS + r;
        row_squares[g*ROWS+r] = $itor(row_clocks[k] * row_clocks[k] + row_clocks[k+ROWS] * row_clocks[k+ROWS]);
      end
  endtask

  task add_common_noise;
    for (b = 0; b < BANKS; b = b + 1) begin
      g = HELD_BANKS[b] ? HELD : 0;
      k = {24'd0, CROSSING_OF_BANK[8*b+:8]};
      // Neighbors that share their rows and their reset share the sum.
      if (b == 0 || CROSSING_OF_BANK[8*b+:8] != CROSSING_OF_BANK[8*(b>0?b-1:0)+:8]
          || HELD_BANKS[b] != HELD_BANKS[b>0?b-1:0]) begin
        noise = 0.0;
        for (r = 0; r < ROWS; r = r + 1) noise = noise + row_squares[g*ROWS+r] * common_variance[r*CROSSINGS+k];
        noise = $sqrt(noise) * normal(COMMON + k);
      end
      for (c = b * UNITS; c < (b + 1) * UNITS; c = c + 1) value[c] = value[c] + noise;
    end
  endtask

  task add_column_noise;
    begin
      for (c = 0; c < COLUMNS; c = c + 1) squares[c] = 0.0;
      if (row_noise)
        for (r = 0; r < ROWS; r = r + 1)
          if (row_squares[r] != 0.0 || row_squares[HELD*ROWS+r] != 0.0) begin
            more = row_squares[r];
            for (c = 0; c < COLUMNS; c = c + 1) begin
              if (HOLDS > 0 && c % UNITS == 0) more = row_squares[(HELD_BANKS[c/UNITS]?HELD*ROWS : 0)+r];
              squares[c] = squares[c] + more * variance[r*COLUMNS+c];
            end
          end
      if (state_noise)
        for (b = 0; b < LINE_CELLS; b = b + 1) begin
          c = UNITS * {24'd0, BANK_OF_CELL[8*b+:8]};
          g = HELD_BANKS[c/UNITS] ? HELD : 0;
          k = 2 * g * STATE_LINES + UNITS * {24'd0, LINE_OF_CELL[8*b+:8]};
          for (u = 0; u < UNITS; u = u + 1) begin
            more = $itor(line_clocks[k+u] * line_clocks[k+u]
                + line_clocks[k+STATE_LINES+u] * line_clocks[k+STATE_LINES+u]);
            squares[c+u] = squares[c+u] + more * state_variance[b*UNITS+u];
          end
        end
      for (c = 0; c < COLUMNS; c = c + 1) value[c] = value[c] + $sqrt(squares[c] + noise_variance[c]) * normal(c);
    end
  endtask

  // ---- ramps and comparators -------------------------------------------------------------------------------------
  task step_ramps;
    begin
      if (count < TICKS) count = count + 1;
      // Every tap that is high acts, as it would on the wire: a tap that is not one-hot spoils the ramp.
      for (k = 0; k < TICKS; k = k + 1)
        if (tap[k])
          for (r = 0; r < RAMPS; r = r + 1) begin
            more = ramp_step[r*TICKS+k];
            if (ramp_noisy) more = more + ramp_noise[r*TICKS+k] * normal(STEPS + r * TICKS + k);
            level[r] = level[r] + more;
          end
    end
  endtask

  task compare;
    begin
      for (b = 0; b < BANKS; b = b + 1) begin
        k = {24'd0, RAMP_OF_BANK[8*b+:8]};
        threshold = level[k] * rise[count-1];
        // Rounding keeps order: where the largest noise of either sign decides alike, so does any other, undrawn.
        for (c = b * UNITS; c < (b + 1) * UNITS; c = c + 1)
          if (lowest[c] > threshold) exceeds[c] = 1;
          else if (!(highest[c] > threshold)) exceeds[c] = 0;
          else exceeds[c] = value[c] + comparator_noise * normal(DECISIONS + (count - 1) * COLUMNS + c) > threshold;
      end
      if (late) begin
        decided[count] = exceeds;
        for (c = 0; c < COLUMNS; c = c + 1)
          if (delay[c] != 0) begin
            if (count > delay[c]) exceeds[c] = decided[count-delay[c]][c];
            else exceeds[c] = 1;
          end
      end
      comparators = exceeds;
    end
  endtask

  always @(negedge clk) begin
    if (reset != 0) begin
      emptied = reset & filled;
      if (emptied != 0) empty;
      if (reset[0]) clocks = 0;
      held = 0;
    end else if (integrate) begin
      integrate_clock;
      held = 0;
    end else if (hold && !held) begin
      settle;
      held = 1;
    end

    if (ramp_reset) begin
      count = 0;
      for (k = 0; k < RAMPS; k = k + 1) begin
        level[k] = ramp_start[k];
        for (u = 0; u < CALIBRATION_CELLS; u = u + 1)
          if (calibration[k*CALIBRATION_CELLS+u]) level[k] = level[k] + calibration_cell[k*CALIBRATION_CELLS+u];
      end
    end

    if (tick) begin
      step_ramps;
      compare;
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
