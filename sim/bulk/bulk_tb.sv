// SPDX-License-Identifier: Apache-2.0
// The free-running bench: utterances from a file through the generated hardware and the behavioral crossbar.
//
// Two uses of one bench. Recording (`+trace=FOLDER`): writes every code, c, q, t, h, logit and answer, for numpy to
// compare. Checking (`+expected=FOLDER`): compares them here with recorded vectors, and says PASS or FAIL.
//
// Checking is what happens without `+trace`; its files are in `vectors` unless named.
//
// Stimulus: `+x=FILE` (two bytes a code when recording, hexadecimal {last, code} a line when checking),
// `+utterances=N`, `+idle=PERCENT` of the clocks without x, `+stall=PERCENT` of the clocks without ready on the
// outputs, `+seed=N`, `+watchdog=CLOCKS` without any transfer, `+calibration=HEX`, the calibration cells chosen (none).
// The crossbar adds `+array=FOLDER` and `+array_stall=PERCENT`.
//
// With `+x=-` the stimulus comes from standard input, code by code, while the simulation waits. After a code whose
// second byte has bit 1 set, the bench reads on only when the next answer has been taken, and then says "answered": so
// a host can choose the codes of a step by the answer to the one before. The end of the input is the end.
//
// The module crossramp_dut, and the clock, come from a generated file (crossramp.sim.bulk.bench_verilog).

`timescale 1ns / 1ps

/* verilator lint_save */
/* verilator lint_off BLKSEQ */  // a bench computes in variables, in the order of its lines
/* verilator lint_off DECLFILENAME */  // modules begin with crossramp_, files do not

// One kind of record: writes it, or compares it with the next one expected.
module crossramp_log #(
    parameter NAME = "log",
    parameter WIDTH = 1,
    parameter COMPARED = 1,  // has an expected file when checking
    parameter STREAM = 1  // must stay while it waits
) (
    input clk,
    input rst,
    input valid,
    input ready,
    input [WIDTH-1:0] data,
    output reg [31:0] records,
    output reg [31:0] mismatches,  // wrong, more than expected, or unknown (X)
    output reg [31:0] unstable,  // fell, or changed, while it waited
    output reg more  // an expected record has not come yet
);
  string folder;
  integer file, found;
  reg recording, checking, waiting;
  // `data` is read once, into `value`: a simulator then computes it on the clocks that need it.
  reg [WIDTH-1:0] expected, was, value;

  task fetch;
    begin
      found = $fscanf(file, "%h", expected);
      more = found == 1;
    end
  endtask

  initial begin
    records = 0;
    mismatches = 0;
    unstable = 0;
    more = 0;
    waiting = 0;
    recording = 0;
    checking = 0;
    if ($value$plusargs("trace=%s", folder)) begin
      recording = 1;
      file = $fopen($sformatf("%0s/%0s.bin", folder, NAME), "wb");
    end else if (COMPARED != 0) begin
      if (!$value$plusargs("expected=%s", folder)) folder = "vectors";
      checking = 1;
      file = $fopen($sformatf("%0s/%0s.hex", folder, NAME), "r");
    end
    if ((recording || checking) && file == 0) begin
      $display("bench: cannot open the file of %0s in %0s; make the folder, or give another", NAME, folder);
      $fatal(1);
    end
    if (checking) fetch;
  end

  always @(posedge clk)
    if (rst) waiting = 0;
    else begin
      if (valid !== 1'b0) begin
        value = data;
        if (valid === 1'bx || ^value === 1'bx) begin
          mismatches = mismatches + 1;
          if (mismatches < 10) $display("bench: %0s record %0d is unknown: %h", NAME, records, value);
        end
        if (waiting && value !== was) change;
        waiting = STREAM != 0 && !ready;
        if (waiting) was = value;
        if (ready) take;
      end else if (waiting) begin
        change;
        waiting = 0;
      end
    end

  task change;
    begin
      unstable = unstable + 1;
      if (unstable == 1) $display("bench: %0s changed while it waited for ready, record %0d", NAME, records);
    end
  endtask

  task take;
    begin
      if (recording) $fwrite(file, "%u", value);
      if (checking) begin
        if (!more) begin
          mismatches = mismatches + 1;
          if (mismatches < 10) $display("bench: %0s record %0d was not expected: %h", NAME, records, value);
        end else if (value !== expected) begin
          mismatches = mismatches + 1;
          if (mismatches < 10) $display("bench: %0s record %0d is %h, expected %h", NAME, records, value, expected);
        end
        fetch;
      end
      records = records + 1;
    end
  endtask
endmodule

module crossramp_bulk #(
    parameter ROWS = 1,
    parameter UNITS = 1,
    parameter LANES = 1,
    parameter BEATS = 1,
    parameter ADC_BITS = 2,
    parameter INPUT_BITS = 2,
    parameter STATE_BITS = 3,
    parameter STATE_PULSE_BITS = 2,
    parameter SETTLE_CLOCKS = 1,
    parameter RAMPS = 1,
    parameter CALIBRATION_CELLS = 0,
    parameter [31:0] RAMP_OF_BANK = 0,
    parameter LOGIT_BITS = 2,
    parameter ANSWER_BITS = 1,
    parameter HEAD = 1,  // 0: a macro alone, whose logit and answer streams never become valid
    parameter EVERY_STEP = 0,  // 1: an answer after every step, not one an utterance
    parameter UTTERANCES = 1  // of the stimulus, unless +utterances=N says otherwise
) (
    input clk
);
  localparam TICKS = (1 << ADC_BITS) - 1;
  localparam INPUT_MAX = (1 << (INPUT_BITS - 1)) - 1;
  localparam STATE_PULSE_MAX = (1 << (STATE_PULSE_BITS - 1)) - 1;
  localparam CALIBRATION = RAMPS * CALIBRATION_CELLS > 0 ? RAMPS * CALIBRATION_CELLS : 1;
  localparam LAST = UNITS - (BEATS - 1) * LANES;  // lanes of the last beat that hold a unit

  /* verilator lint_off SYNCASYNCNET */
  reg rst;  // asynchronous to some hardware, not to the bench
  /* verilator lint_on SYNCASYNCNET */
  integer clocks;

  // ---- device under test, and what stands behind its boundary ------------------------------------------------------
  reg x_valid;
  wire x_ready;
  reg signed [INPUT_BITS-1:0] x_code;
  reg x_last;
  wire h_valid, h_end, h_last;
  reg h_ready;
  wire [LANES*INPUT_BITS-1:0] h_codes;
  wire logit_valid, logit_last;
  reg logit_ready;
  wire [LOGIT_BITS-1:0] logit_value;
  wire answer_valid, answer_too_long;
  reg answer_ready;
  wire [ANSWER_BITS-1:0] answer_index;
  wire unused_busy;
  wire monitor_gates, monitor_state, monitor_output;
  wire [LANES*ADC_BITS-1:0] monitor_i, monitor_f, monitor_g, monitor_o, monitor_t;
  wire [LANES*STATE_BITS-1:0] monitor_c;
  wire [LANES*STATE_PULSE_BITS-1:0] monitor_q;
  wire [ROWS-1:0] row_pos, row_neg;
  wire [UNITS-1:0] state_pos, state_neg;
  wire state, integrate, reset, hold, ramp_reset, tick, ready;
  wire [TICKS-1:0] tap;
  wire [CALIBRATION-1:0] calibration;
  reg [CALIBRATION-1:0] chosen;  // cells, for the whole run
  wire [4*UNITS-1:0] comparators;

  crossramp_dut dut (
      .clk(clk), .rst(rst),
      .x_valid(x_valid), .x_ready(x_ready), .x_code(x_code), .x_last(x_last),
      .h_valid(h_valid), .h_ready(h_ready), .h_codes(h_codes), .h_end(h_end), .h_last(h_last),
      .logit_valid(logit_valid), .logit_ready(logit_ready), .logit_value(logit_value), .logit_last(logit_last),
      .answer_valid(answer_valid), .answer_ready(answer_ready), .answer_index(answer_index),
      .answer_too_long(answer_too_long),
      .calibration(chosen), .busy(unused_busy),
      .array_row_pos(row_pos), .array_row_neg(row_neg), .array_state_pos(state_pos), .array_state_neg(state_neg),
      .array_state(state), .array_integrate(integrate), .array_reset(reset), .array_hold(hold),
      .array_ramp_reset(ramp_reset), .array_tick(tick), .array_tap(tap), .array_calibration(calibration),
      .array_comparators(comparators), .array_ready(ready),
      .monitor_gates(monitor_gates), .monitor_i(monitor_i), .monitor_f(monitor_f), .monitor_g(monitor_g),
      .monitor_state(monitor_state), .monitor_c(monitor_c), .monitor_q(monitor_q),
      .monitor_output(monitor_output), .monitor_o(monitor_o), .monitor_t(monitor_t)
  );

  crossramp_crossbar #(
      .ROWS(ROWS), .UNITS(UNITS), .TICKS(TICKS), .RAMPS(RAMPS), .CALIBRATION_CELLS(CALIBRATION_CELLS),
      .RAMP_OF_BANK(RAMP_OF_BANK), .INPUT_MAX(INPUT_MAX), .STATE_PULSE_MAX(STATE_PULSE_MAX)
  ) crossbar (
      .clk(clk), .row_pos(row_pos), .row_neg(row_neg), .state_pos(state_pos), .state_neg(state_neg), .state(state),
      .integrate(integrate), .reset(reset), .hold(hold), .ramp_reset(ramp_reset), .tick(tick), .tap(tap),
      .calibration(calibration), .comparators(comparators), .ready(ready)
  );

  wire [31:0] broken, conversions;
  crossramp_protocol #(
      .ROWS(ROWS), .UNITS(UNITS), .TICKS(TICKS), .CALIBRATION(CALIBRATION),
      .INPUT_MAX(INPUT_MAX), .STATE_PULSE_MAX(STATE_PULSE_MAX),
      .SETTLE_CLOCKS(SETTLE_CLOCKS)
  ) protocol (
      .clk(clk), .rst(rst), .row_pos(row_pos), .row_neg(row_neg), .state_pos(state_pos), .state_neg(state_neg),
      .state(state), .integrate(integrate), .reset(reset), .hold(hold), .ramp_reset(ramp_reset), .tick(tick),
      .tap(tap), .calibration(calibration), .ready(ready), .broken(broken), .conversions(conversions)
  );

  // ---- records -----------------------------------------------------------------------------------------------------
  // Lanes beyond the last unit hold no meaning in the monitors: they count as zero.
  integer gates_beat, state_beat, output_beat;
  localparam BEYOND = LANES - LAST;
  wire [LANES*ADC_BITS-1:0] gates_keep = {LANES * ADC_BITS{1'b1}} >> (gates_beat == BEATS - 1 ? BEYOND * ADC_BITS : 0);
  wire [LANES*ADC_BITS-1:0] output_keep = {LANES * ADC_BITS{1'b1}} >> (output_beat == BEATS - 1 ? BEYOND * ADC_BITS : 0);
  wire [LANES*STATE_BITS-1:0] c_keep = {LANES * STATE_BITS{1'b1}} >> (state_beat == BEATS - 1 ? BEYOND * STATE_BITS : 0);
  wire [LANES*STATE_PULSE_BITS-1:0] q_keep =
      {LANES * STATE_PULSE_BITS{1'b1}} >> (state_beat == BEATS - 1 ? BEYOND * STATE_PULSE_BITS : 0);

  wire [31:0] records[0:6], mismatches[0:6], unstable[0:6];
  wire [6:0] more;
  crossramp_log #("gates", 3 * LANES * ADC_BITS, 1, 0) log_gates (
      clk, rst, monitor_gates, 1'b1, {monitor_g & gates_keep, monitor_f & gates_keep, monitor_i & gates_keep},
      records[0], mismatches[0], unstable[0], more[0]);
  crossramp_log #("state", LANES * (STATE_BITS + STATE_PULSE_BITS), 1, 0) log_state (
      clk, rst, monitor_state, 1'b1, {monitor_q & q_keep, monitor_c & c_keep},
      records[1], mismatches[1], unstable[1], more[1]);
  crossramp_log #("output", 2 * LANES * ADC_BITS, 1, 0) log_output (
      clk, rst, monitor_output, 1'b1, {monitor_t & output_keep, monitor_o & output_keep},
      records[2], mismatches[2], unstable[2], more[2]);
  crossramp_log #("h", LANES * INPUT_BITS + 2, 1, 1) log_h (
      clk, rst, h_valid, h_ready, {h_last, h_end, h_codes}, records[3], mismatches[3], unstable[3], more[3]);
  crossramp_log #("logits", LOGIT_BITS + 1, 1, 1) log_logits (
      clk, rst, logit_valid, logit_ready, {logit_last, logit_value},
      records[4], mismatches[4], unstable[4], more[4]);
  crossramp_log #("answers", ANSWER_BITS + 1, 1, 1) log_answers (
      clk, rst, answer_valid, answer_ready, {answer_too_long, answer_index},
      records[5], mismatches[5], unstable[5], more[5]);
  crossramp_log #("clocks", 32, 0, 0) log_clocks (
      clk, rst, h_valid && h_ready && h_end, 1'b1, clocks, records[6], mismatches[6], unstable[6], more[6]);

  // ---- stimulus ----------------------------------------------------------------------------------------------------
  string name;
  integer file, found, idle, stall, utterances, watchdog;
  reg [15:0] words[0:1023];
  integer position, filled;
  reg checking, there;
  reg asking, held, over;  // stimulus from standard input; none before the next answer; none any more
  reg replied;  // that answer is there, and by now in its file too
  /* verilator lint_off UNUSEDSIGNAL */
  reg [15:0] word;  // {code, 6 bits of no meaning, ask, last}
  /* verilator lint_on UNUSEDSIGNAL */
  reg [INPUT_BITS:0] following;  // {last, code}
  reg [31:0] random;
  // Clocks that the bench made something wait: a run with pauses must have had some.
  integer x_idle, h_stalled, logit_stalled, array_stalled;

  task fetch;
    if (checking) begin
      found = $fscanf(file, "%h", following);
      there = found == 1;
    end else if (asking) begin
      there = 0;
      if (!held && !over) begin
        found = $fread(word, file);
        there = found == 2;
        over = !there;
        held = there && word[1];
        following = {word[0], word[8+:INPUT_BITS]};
      end
    end else begin
      // Two bytes a code, many codes a call.
      if (position == filled) begin
        filled = $fread(words, file) / 2;
        position = 0;
      end
      there = filled > 0;
      following = {words[position][0], words[position][8+:INPUT_BITS]};
      position = position + 1;
    end
  endtask

  initial begin
    rst = 1;
    clocks = 0;
    x_valid = 0;
    x_code = 0;
    x_last = 0;
    h_ready = 0;
    logit_ready = 0;
    answer_ready = 0;
    gates_beat = 0;
    state_beat = 0;
    output_beat = 0;
    position = 0;
    filled = 0;
    asking = 0;
    held = 0;
    over = 0;
    replied = 0;
    x_idle = 0;
    h_stalled = 0;
    logit_stalled = 0;
    array_stalled = 0;
    finished = 0;
    quiet = 0;
    drain = 0;
    ended = 0;
    checking = !$test$plusargs("trace=");
    if (!$value$plusargs("idle=%d", idle)) idle = 0;
    if (!$value$plusargs("stall=%d", stall)) stall = 0;
    if (!$value$plusargs("utterances=%d", utterances)) utterances = UTTERANCES;
    if (!$value$plusargs("watchdog=%d", watchdog)) watchdog = 100000;
    if (!$value$plusargs("seed=%d", random)) random = 1;
    if (!$value$plusargs("calibration=%h", chosen)) chosen = 0;
    random = random * 32'd2246822519 ^ 32'h85ebca6b;
    if (random == 0) random = 1;
    if (!$value$plusargs("x=%s", name)) name = "vectors/x.hex";
    asking = name == "-";
    file = asking ? 32'h8000_0000 : $fopen(name, "rb");
    if (file == 0) begin
      $display("bench: cannot read %0s; give the stimulus with +x=FILE", name);
      $fatal(1);
    end
    fetch;
  end

  always @(posedge clk) begin
    clocks <= clocks + 1;
    rst <= clocks < 3;
    if (idle != 0 || stall != 0) begin
      random = random ^ (random << 13);
      random = random ^ (random >> 17);
      random = random ^ (random << 5);
    end
    if (!rst) begin
      if (replied) begin
        held = 0;
        log_flush;
        $display("answered");
        $fflush(32'h8000_0001);
        fetch;
      end
      replied <= held && answer_valid && answer_ready && !replied;
      if (!x_valid || x_ready) begin
        x_valid <= 0;
        if (there && random[7:0] * 100 >= idle * 256) begin
          x_valid <= 1;
          {x_last, x_code} <= following;
          fetch;
        end else if (there) x_idle = x_idle + 1;
      end
      if (h_valid && !h_ready) h_stalled = h_stalled + 1;
      if (logit_valid && !logit_ready) logit_stalled = logit_stalled + 1;
      if (!ready) array_stalled = array_stalled + 1;
      h_ready <= stall == 0 || random[15:8] * 100 >= stall * 256;
      logit_ready <= stall == 0 || random[23:16] * 100 >= stall * 256;
      answer_ready <= stall == 0 || random[31:24] * 100 >= stall * 256;
      if (monitor_gates) gates_beat <= gates_beat == BEATS - 1 ? 0 : gates_beat + 1;
      if (monitor_state) state_beat <= state_beat == BEATS - 1 ? 0 : state_beat + 1;
      if (monitor_output) output_beat <= output_beat == BEATS - 1 ? 0 : output_beat + 1;
    end
  end

  // ---- end ---------------------------------------------------------------------------------------------------------
  integer finished, quiet, drain;
  reg ended;  // the step whose h came last is the last one of its utterance; no other comes before its answer
  integer summary, compared, wrong;
  // While recording, a byte for every 256 clocks: whoever waits can tell a slow simulator from one that hangs.
  integer alive = 0;
  initial if ($value$plusargs("trace=%s", name)) alive = $fopen({name, "/alive"}, "w");
  always @(posedge clk)
    if (alive != 0 && clocks[7:0] == 0) begin
      $fwrite(alive, ".");
      $fflush(alive);
    end

  always @(posedge clk) begin
    if (HEAD != 0 ? answer_valid && answer_ready && (EVERY_STEP == 0 || ended) : h_valid && h_ready && h_end && h_last)
    begin
      finished = finished + 1;
      if (!checking) log_flush;
    end
    if (h_valid && h_ready && h_end) ended = h_last;
    quiet = (x_valid && x_ready) || (h_valid && h_ready) || (logit_valid && logit_ready) ? 0 : quiet + 1;
    if (asking ? over : finished >= utterances) begin
      drain = drain + 1;
      // Anything that comes now comes too often.
      if (drain == 2 * BEATS + 64) finish(0);
    end else if (quiet > watchdog) finish(1);
  end

  task log_flush;
    // So that whoever waits can see how far it is.
    $fflush(log_gates.file);
    $fflush(log_state.file);
    $fflush(log_output.file);
    $fflush(log_h.file);
    $fflush(log_logits.file);
    $fflush(log_answers.file);
  endtask

  task finish(input stuck);
    begin
      compared = records[0] + records[1] + records[2] + records[3] + records[4] + records[5];
      wrong = mismatches[0] + mismatches[1] + mismatches[2] + mismatches[3] + mismatches[4] + mismatches[5]
          + unstable[3] + unstable[4] + unstable[5];
      if ($value$plusargs("trace=%s", name)) begin
        summary = $fopen({name, "/summary.txt"}, "w");
        $fdisplay(summary, "clocks %0d", clocks);
        $fdisplay(summary, "finished %0d", finished);
        $fdisplay(summary, "conversions %0d", conversions);
        $fdisplay(summary, "broken %0d", broken);
        $fdisplay(summary, "wrong %0d", wrong);
        $fdisplay(summary, "watchdog %0d", stuck);
        $fdisplay(summary, "x_idle %0d", x_idle);
        $fdisplay(summary, "h_stalled %0d", h_stalled);
        $fdisplay(summary, "logit_stalled %0d", logit_stalled);
        $fdisplay(summary, "array_stalled %0d", array_stalled);
        $fclose(summary);
        $finish;
      end else begin
        if (stuck) $display("bench: nothing moved for %0d clocks, %0d of %0d utterances", quiet, finished, utterances);
        if (more != 0)
          $display("bench: records are missing: %b (gates, state, output, h, logits, answers from the right)", more);
        if (broken != 0) $display("bench: rules of the boundary are broken, named above where each was first");
        if (!stuck && more == 0 && wrong == 0 && broken == 0 && compared != 0 && finished == utterances
            && conversions != 0) begin
          $display("PASS: %0d utterances, %0d records compared, %0d conversions, %0d clocks",
                   finished, compared, conversions, clocks);
          $finish;
        end else begin
          $display("FAIL: %0d records wrong of %0d compared", wrong, compared);
          $fatal(1);
        end
      end
    end
  endtask
endmodule

/* verilator lint_restore */
