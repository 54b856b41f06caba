// SPDX-License-Identifier: Apache-2.0
// The rules of the analog boundary, checked on every clock: those of crossramp.sim.checking.protocol.RULES. Their list,
// the sizes and the ports are put in by crossramp.sim.checking.protocol_verilog.
//
// Samples at the end of each clock, on the rising edge. `broken` keeps every rule that was ever broken; the first
// breach of each is printed with its clock.
//
// Counters stop at the largest value that a rule asks for, so that they never wrap around.
//
// With FORMAL defined, yosys reads it as a property: `broken` stays 0. Nothing is printed then, and no value is X or Z.
// The state of the checker is added to the outputs, for the invariants of proofs by induction.

`timescale 1ns / 1ps

/* verilator lint_save */
/* verilator lint_off BLKSEQ */  // a bench computes in variables, in the order of its lines
/* verilator lint_off DECLFILENAME */  // modules begin with crossramp_, files do not

module crossramp_protocol #(
    /* verilator lint_off UNUSEDPARAM */
`include "boundary_sizes.svh"
    /* verilator lint_on UNUSEDPARAM */
    parameter CONVERSIONS = 1,  // of a step
    parameter FIRST_WINDOW = 1,  // clocks of the first conversion's window
    parameter SECOND_WINDOW = 1,  // of the second's; where there is one conversion, these are those of the first
    parameter [ROWS-1:0] FIRST_ROWS = {ROWS{1'b0}},  // which rows the first conversion may drive
    parameter [ROWS-1:0] SECOND_ROWS = {ROWS{1'b0}},
    parameter [STATE_LINES-1:0] FIRST_LINES = {STATE_LINES{1'b0}},  // and which wires of lines
    parameter [STATE_LINES-1:0] SECOND_LINES = {STATE_LINES{1'b0}},
    parameter LONGEST_ROW = 1,  // clocks of a row's longest pulse
    parameter LONGEST_LINE = 1,
    parameter [STATE_LINES-1:0] SUM_LINES = {STATE_LINES{1'b0}},  // wires that bring partial sums
    parameter LONGEST_SUM = 0,  // clocks of their longest pulse
    parameter FIRST_TICKS = 1,  // of the first conversion's ramps
    parameter SECOND_TICKS = 1,
    parameter SETTLE_CLOCKS = 1  // of hold, before the first tick
) (
    input clk,
    input rst,
    output reg [31:0] broken,  // bit by rule: those that were ever broken
    output reg [31:0] conversions,  // complete ones
`include "checker_state.svh"
    /* verilator lint_off UNUSEDSIGNAL */  // no rule is about what the comparators say
`include "checker_ports.svh"
    /* verilator lint_on UNUSEDSIGNAL */
);
  localparam LONGEST = FIRST_WINDOW > SECOND_WINDOW ? FIRST_WINDOW : SECOND_WINDOW;
  localparam HELD = RESETS > 1;  // some banks hold their charge between the conversions of a step

  // Of the clock before.
  reg was_reset, was_integrate, was_hold, was_ready, was_state;
  reg [ROWS-1:0] was_row_pos, was_row_neg;
  reg [STATE_LINES-1:0] was_state_pos, was_state_neg;
  reg [TICKS-1:0] was_tap;
  reg [CALIBRATION-1:0] was_calibration;
  // Of the conversion under way.
  integer resets;  // at most 3
  reg keeping;  // such banks keep what the first window has brought
  integer window;  // at most LONGEST + 1
  integer holds;  // at most SETTLE_CLOCKS
  integer ticks;  // at most TICKS + 1
  reg pending;  // a tick's comparators are not latched yet
  reg second;  // the next conversion is the state's
  reg [31:0] now;

  // Each rule's bit in `now` and `broken`.
`include "rules.svh"

`ifndef FORMAL
  reg [63:0] clocks;
  integer k;
  string rule;

  // Names rule k.
`include "rule_names.svh"
  initial clocks = 0;
`endif

  // What is wide is looked at in the phase that needs it: the checker runs on every clock of bulk simulations.
  wire emptied = reset[0];
  wire held_emptied = HELD && reset[RESETS-1];
  wire over = was_hold && was_state && !hold;  // the second conversion of a step
  wire kept = keeping && !over;
  wire driven = (row_pos | row_neg) != 0 || (state_pos | state_neg) != 0;
`include "unknown.svh"
`include "checker_state_values.svh"

  task forget;
    begin
      was_reset = 0;
      was_integrate = 0;
      was_hold = 0;
      was_ready = 1;
      was_state = 0;
      was_row_pos = 0;
      was_row_neg = 0;
      was_state_pos = 0;
      was_state_neg = 0;
      was_tap = 0;
      was_calibration = 0;
      resets = 0;
      keeping = 0;
      window = 0;
      holds = 0;
      ticks = 0;
      pending = 0;
      second = 0;
    end
  endtask

  initial begin
    broken = 0;
    conversions = 0;
    forget;
  end

  task check;
    begin
      if (!(integrate || hold || ramp_reset || tick))
        now[NO_PHASE] = !emptied || (HELD && !kept && !held_emptied);
      if (HELD && !integrate && !hold) now[HELD_RESET] = kept && held_emptied;
      if (integrate) check_window;
      else begin
        if (was_integrate) begin
          now[WINDOW_LENGTH] = window != (was_state ? SECOND_WINDOW : FIRST_WINDOW);
          now[WINDOW_WITHOUT_HOLD] = !hold;
        end
        if (driven) check_stray;
      end
      if (hold) check_ramp;
      else begin
        if (was_hold) begin
          now[HOLD_DROPPED] = pending;
          now[TICK_COUNT] = ticks != (was_state ? SECOND_TICKS : FIRST_TICKS);
        end
        if (state && !integrate) now[STATE_CHANGES] = 1;
        if (ramp_reset) now[RAMP_RESET_OUTSIDE_HOLD] = 1;
        if (tick) now[TICK_OUTSIDE_HOLD] = 1;
      end
    end
  endtask

  task check_window;
    begin
      now[INTEGRATE_IN_RAMP] = hold || ramp_reset || tick;
      if (emptied || held_emptied) now[RESET_IN_CONVERSION] = 1;
      if (!was_integrate) begin
        now[RESET_TOO_SHORT] = resets < 3;
        now[READY_IGNORED] = was_reset && !was_ready;
        now[CONVERSION_ORDER] = state != second;
        window = 0;
      end else begin
        now[PULSE_NOT_FROM_START] = (row_pos & ~was_row_pos) != 0 || (row_neg & ~was_row_neg) != 0 ||
                  (state_pos & ~was_state_pos) != 0 || (state_neg & ~was_state_neg) != 0;
        if (state != was_state) now[STATE_CHANGES] = 1;
      end
      if (window <= LONGEST) window = window + 1;
      now[WINDOW_LENGTH] = window > (state ? SECOND_WINDOW : FIRST_WINDOW);
      now[PULSE_BOTH_POLARITIES] = (row_pos & row_neg) != 0 || (state_pos & state_neg) != 0;
      if (state) begin
        now[ROW_NOT_DRIVEN] = ((row_pos | row_neg) & ~SECOND_ROWS) != 0;
        now[LINE_NOT_DRIVEN] = ((state_pos | state_neg) & ~SECOND_LINES) != 0;
      end else begin
        now[ROW_NOT_DRIVEN] = ((row_pos | row_neg) & ~FIRST_ROWS) != 0;
        now[LINE_NOT_DRIVEN] = ((state_pos | state_neg) & ~FIRST_LINES) != 0;
      end
      if (window > LONGEST_ROW && (row_pos | row_neg) != 0) now[PULSE_TOO_LONG] = 1;
      if (window > LONGEST_LINE && ((state_pos | state_neg) & ~SUM_LINES) != 0) now[PULSE_TOO_LONG] = 1;
      if (window > LONGEST_SUM && ((state_pos | state_neg) & SUM_LINES) != 0) now[PULSE_TOO_LONG] = 1;
      was_row_pos = row_pos;
      was_row_neg = row_neg;
      was_state_pos = state_pos;
      was_state_neg = state_neg;
    end
  endtask

  task check_stray;
    begin
      now[PULSE_OUTSIDE_WINDOW] = 1;
      now[PULSE_BOTH_POLARITIES] = (row_pos & row_neg) != 0 || (state_pos & state_neg) != 0;
    end
  endtask

  task check_ramp;
    begin
      if (emptied || held_emptied) now[RESET_IN_CONVERSION] = 1;
      if (!was_hold) begin
        now[HOLD_WITHOUT_WINDOW] = !was_integrate;
        holds = 0;
        ticks = 0;
      end else if (calibration != was_calibration) now[CALIBRATION_CHANGES] = 1;
      was_calibration = calibration;
      if ((was_hold || was_integrate) && state != was_state) now[STATE_CHANGES] = 1;
      if (ramp_reset && (ticks != 0 || tick)) now[RAMP_RESET_OUTSIDE_HOLD] = 1;
      if (tick) begin
        now[HOLD_TOO_SHORT] = ticks == 0 && holds < SETTLE_CLOCKS;
        if (pending || (ticks == 0 && !was_ready)) now[READY_IGNORED] = 1;
        if (ticks <= TICKS) ticks = ticks + 1;
        now[TICK_COUNT] = ticks > (state ? SECOND_TICKS : FIRST_TICKS);
        if (tap == 0 || (tap & (tap - 1'b1)) != 0) now[TAP_NOT_ONE_HOT] = 1;
        else now[TAP_ORDER] = ticks > TICKS || !tap[ticks-1];
      end else if (ticks == 0) now[RAMP_RESET_MISSING] = !ramp_reset;
      else begin
        now[TAP_CHANGES] = was_hold && tap != was_tap;
        now[RAMP_PAUSES] = was_hold && !pending;
      end
      was_tap = tap;
    end
  endtask

  task advance;
    begin
      if (hold) begin
        if (holds < SETTLE_CLOCKS) holds = holds + 1;
        if (tick) pending = 1;
        if (pending && ready) begin
          pending = 0;
          if (ticks == (state ? SECOND_TICKS : FIRST_TICKS)) begin
            conversions = conversions + 1;
            second = CONVERSIONS > 1 && !state;
          end
        end
      end else pending = 0;
      if (!emptied) resets = 0;
      else if (resets < 3) resets = resets + 1;
      if (HELD) begin
        if (integrate && !state) keeping = 1;
        else if (over) keeping = 0;
      end
      was_reset = emptied;
      was_integrate = integrate;
      was_hold = hold;
      was_ready = ready;
      was_state = state;
    end
  endtask

  always @(posedge clk)
    if (rst) forget;
    else begin
      now = 0;
      if (unknown) now[UNKNOWN_VALUE] = 1;
      else begin
        check;
        advance;
      end
`ifndef FORMAL
      if ((now & ~broken) != 0)
        for (k = 0; k < 32; k = k + 1)
          if (now[k] && !broken[k]) begin
            name_rule;
            $display("protocol: %0s is broken on clock %0d", rule, clocks);
          end
      clocks = clocks + 1;
`endif
      broken = broken | now;
    end
endmodule

/* verilator lint_restore */
