// SPDX-License-Identifier: Apache-2.0
// The rules of the analog boundary, checked on every clock: the rules, names and bits of crossramp.sim.checking.protocol.RULES.
//
// Samples at the end of each clock, on the rising edge. `broken` keeps every rule that was ever broken; the first
// breach of each is printed with its clock.

`timescale 1ns / 1ps

/* verilator lint_save */
/* verilator lint_off BLKSEQ */  // a bench computes in variables, in the order of its lines
/* verilator lint_off DECLFILENAME */  // modules begin with crossramp_, files do not

module crossramp_protocol #(
    parameter ROWS = 1,
    parameter UNITS = 1,
    parameter TICKS = 3,
    parameter CALIBRATION = 1,
    parameter INPUT_MAX = 1,
    parameter STATE_PULSE_MAX = 1,
    parameter SETTLE_CLOCKS = 1
) (
    input clk,
    input rst,
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
    input ready,
    output reg [31:0] broken,
    output reg [31:0] conversions
);
  // Of the clock before.
  reg was_reset, was_integrate, was_hold, was_ready, was_state;
  reg [ROWS-1:0] was_row_pos, was_row_neg;
  reg [UNITS-1:0] was_state_pos, was_state_neg;
  reg [TICKS-1:0] was_tap;
  reg [CALIBRATION-1:0] was_calibration;
  // Of the conversion under way.
  integer resets, window, holds, ticks;
  reg pending;  // a tick's comparators are not latched yet
  reg second;  // the next conversion is the state's
  reg [31:0] now;
  integer clocks, k;
  string rule;

  // What is wide is looked at in the phase that needs it: the checker runs on every clock of bulk simulations.
  wire driven = (row_pos | row_neg) != 0 || (state_pos | state_neg) != 0;
  wire unknown = ^{reset, integrate, hold, ramp_reset, tick, state, tap, calibration} === 1'bx ||
                 ^{row_pos, row_neg, state_pos, state_neg} === 1'bx;

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
    clocks = 0;
    forget;
  end

  task check;
    begin
      if (!(reset || integrate || hold || ramp_reset || tick)) now[3] = 1;
      if (integrate) check_window;
      else begin
        if (was_integrate) begin
          now[7] = window != (was_state ? STATE_PULSE_MAX : INPUT_MAX);
          now[8] = !hold;
        end
        if (driven) check_stray;
      end
      if (hold) check_ramp;
      else begin
        if (was_hold) begin
          now[15] = pending;
          now[21] = ticks != TICKS;
        end
        if (state && !integrate) now[16] = 1;
        if (ramp_reset) now[17] = 1;
        if (tick) now[19] = 1;
      end
    end
  endtask

  task check_window;
    begin
      now[1] = hold || ramp_reset || tick;
      if (reset) now[2] = 1;
      if (!was_integrate) begin
        now[4] = resets < 3;
        now[5] = was_reset && !was_ready;
        now[6] = state != second;
        window = 0;
      end else begin
        now[11] = (row_pos & ~was_row_pos) != 0 || (row_neg & ~was_row_neg) != 0 ||
                  (state_pos & ~was_state_pos) != 0 || (state_neg & ~was_state_neg) != 0;
        if (state != was_state) now[16] = 1;
      end
      window = window + 1;
      now[7] = window > (state ? STATE_PULSE_MAX : INPUT_MAX);
      now[10] = (row_pos & row_neg) != 0 || (state_pos & state_neg) != 0;
      if (state) now[13] = (row_pos | row_neg) != 0;
      else now[12] = (state_pos | state_neg) != 0;
      was_row_pos = row_pos;
      was_row_neg = row_neg;
      was_state_pos = state_pos;
      was_state_neg = state_neg;
    end
  endtask

  task check_stray;
    begin
      now[9] = 1;
      now[10] = (row_pos & row_neg) != 0 || (state_pos & state_neg) != 0;
    end
  endtask

  task check_ramp;
    begin
      if (reset) now[2] = 1;
      if (!was_hold) begin
        now[14] = !was_integrate;
        holds = 0;
        ticks = 0;
      end else if (calibration != was_calibration) now[26] = 1;
      was_calibration = calibration;
      if ((was_hold || was_integrate) && state != was_state) now[16] = 1;
      if (ramp_reset && (ticks != 0 || tick)) now[17] = 1;
      if (tick) begin
        now[20] = ticks == 0 && holds < SETTLE_CLOCKS;
        if (pending || (ticks == 0 && !was_ready)) now[5] = 1;
        ticks = ticks + 1;
        now[21] = ticks > TICKS;
        if (tap == 0 || (tap & (tap - 1'b1)) != 0) now[22] = 1;
        else now[23] = ticks > TICKS || !tap[ticks-1];
      end else if (ticks == 0) now[18] = !ramp_reset;
      else begin
        now[24] = was_hold && tap != was_tap;
        now[25] = was_hold && !pending;
      end
      was_tap = tap;
    end
  endtask

  // Names rule k: those of crossramp.sim.checking.protocol.RULES, in its order.
  task name_rule;
    begin
      case (k)
        0: rule = "unknown_value";
        1: rule = "integrate_in_ramp";
        2: rule = "reset_in_conversion";
        3: rule = "no_phase";
        4: rule = "reset_too_short";
        5: rule = "ready_ignored";
        6: rule = "conversion_order";
        7: rule = "window_length";
        8: rule = "window_without_hold";
        9: rule = "pulse_outside_window";
        10: rule = "pulse_both_polarities";
        11: rule = "pulse_not_from_start";
        12: rule = "state_pulse_in_first_conversion";
        13: rule = "row_pulse_in_second_conversion";
        14: rule = "hold_without_window";
        15: rule = "hold_dropped";
        16: rule = "state_changes";
        17: rule = "ramp_reset_outside_hold";
        18: rule = "ramp_reset_missing";
        19: rule = "tick_outside_hold";
        20: rule = "hold_too_short";
        21: rule = "tick_count";
        22: rule = "tap_not_one_hot";
        23: rule = "tap_order";
        24: rule = "tap_changes";
        25: rule = "ramp_pauses";
        26: rule = "calibration_changes";
        default: rule = "a rule without a name";
      endcase
    end
  endtask

  task advance;
    begin
      if (hold) begin
        holds = holds + 1;
        if (tick) pending = 1;
        if (pending && ready) begin
          pending = 0;
          if (ticks == TICKS) begin
            conversions = conversions + 1;
            second = !state;
          end
        end
      end else pending = 0;
      resets = reset ? resets + 1 : 0;
      was_reset = reset;
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
      if (unknown) now[0] = 1;
      else begin
        check;
        advance;
      end
      if ((now & ~broken) != 0)
        for (k = 0; k < 32; k = k + 1)
          if (now[k] && !broken[k]) begin
            name_rule;
            $display("protocol: %0s is broken on clock %0d", rule, clocks);
          end
      broken = broken | now;
      clocks = clocks + 1;
    end
endmodule

/* verilator lint_restore */
