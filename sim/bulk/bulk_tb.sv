// SPDX-License-Identifier: Apache-2.0
// The free-running bench: utterances from a file through the generated hardware and the behavioral crossbar.
//
// Two uses of one bench. Recording (`+trace=FOLDER`): writes every code, c, q, t, h, logit and answer, for numpy to
// compare. Checking (`+expected=FOLDER`): compares them here with recorded vectors, and says PASS or FAIL.
//
// Checking is what happens without `+trace`; its files are in `vectors` unless named.
//
// Stimulus: `+x=FILE` (two bytes a code when recording, hexadecimal {keep, last, code} a line when checking),
// `+initial=FOLDER` where utterances start from states that come through streams (NAME.hex, a beat a line),
// `+utterances=N`, `+idle=PERCENT` of the clocks without x, `+stall=PERCENT` of the clocks without ready on the
// outputs, `+seed=N`, `+watchdog=CLOCKS` without any transfer, `+calibration=HEX`, the calibration cells chosen (none).
// The crossbar adds `+array=FOLDER` and `+array_stall=PERCENT`.
//
// With `+x=-` the stimulus comes from standard input, code by code, while the simulation waits. After a code whose
// second byte has bit 1 set, the bench reads on only when the next answer has been taken, and then says "answered": so
// a host can choose the codes of a step by the answer to the one before. The end of the input is the end.
//
// The module crossramp_dut, and the clock, come from generated files. The hardware's ports, what stands behind its
// boundary, and the logs of what a step shows are put in here by crossramp.sim.bulk.bench_verilog.

`timescale 1ns / 1ps

/* verilator lint_save */
/* verilator lint_off BLKSEQ */  // a bench computes in variables, in the order of its lines
/* verilator lint_off DECLFILENAME */  // modules begin with crossramp_, files do not

// One kind of record: writes it, or compares it with the next one expected.
module crossramp_log #(
    parameter NAME = "log",
    parameter WIDTH = 1,
    parameter COMPARED = 1,  // has an expected file when checking
    parameter STREAM = 1,  // must stay while it waits
    parameter BEATS = 1,  // of a step
    parameter [WIDTH-1:0] LAST_BEAT = ~(WIDTH'(0))  // bits that mean something in the last one; others count as zero
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
  integer beat;
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
    beat = 0;
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
        value = beat == BEATS - 1 ? data & LAST_BEAT : data;
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
      beat = beat == BEATS - 1 ? 0 : beat + 1;
    end
  endtask

  task name_missing;
    if (more) $display("bench: records are missing: %0s", NAME);
  endtask
endmodule

// Beats of the stream of initial states, from a file; `+idle=PERCENT` holds them back as it does x.
module crossramp_states #(
    parameter NAME = "initial",
    parameter WIDTH = 1
) (
    input clk,
    input rst,
    input ready,
    output reg valid,
    output reg [WIDTH-1:0] data
);
  string name;
  integer file, found, idle;
  reg [WIDTH-1:0] following;
  reg [31:0] random;

  task fetch;
    found = $fscanf(file, "%h", following);
  endtask

  initial begin
    valid = 0;
    data = 0;
    if (!$value$plusargs("idle=%d", idle)) idle = 0;
    if (!$value$plusargs("seed=%d", random)) random = 1;
    random = random * 32'd2654435761 ^ 32'h27d4eb2f;
    if (random == 0) random = 1;
    if (!$value$plusargs("initial=%s", name)) name = "vectors";
    name = {name, "/", NAME, ".hex"};
    file = $fopen(name, "r");
    if (file == 0) begin
      $display("bench: cannot read %0s; give the folder of the initial states with +initial=FOLDER", name);
      $fatal(1);
    end
    fetch;
  end

  always @(posedge clk) begin
    random = random ^ (random << 13);
    random = random ^ (random >> 17);
    random = random ^ (random << 5);
    if (!rst && (!valid || ready)) begin
      valid <= 0;
      if (found == 1 && random[7:0] * 100 >= idle * 256) begin
        valid <= 1;
        data <= following;
        fetch;
      end
    end
  end
endmodule

module crossramp_bulk #(
    parameter INPUT_BITS = 2,
    parameter CALIBRATION = 1,  // bits of the calibration port
    parameter BEATS = 1,
    parameter HEAD = 1,  // 0: a macro alone, whose logit and answer streams never become valid
    parameter EVERY_STEP = 0,  // 1: an answer after every step, not one an utterance
    parameter UTTERANCES = 1  // of the stimulus, unless +utterances=N says otherwise
) (
    input clk
);
  // ---- device under test, and what stands behind its boundary ------------------------------------------------------
  /* verilator lint_off SYNCASYNCNET */
  reg rst;  // asynchronous to some hardware, not to the bench
  /* verilator lint_on SYNCASYNCNET */
  reg x_valid;
  reg signed [INPUT_BITS-1:0] x_code;
  reg x_last;
  reg x_keep;  // nothing reads it of hardware that keeps no state
  reg [CALIBRATION-1:0] calibration;  // for the whole run
`include "hardware.svh"

  // ---- records -----------------------------------------------------------------------------------------------------
`include "step_logs.svh"

  integer clocks;
  wire [31:0] unused_records, unused_mismatches, unused_unstable;
  wire unused_more;
  crossramp_log #(.NAME("clocks"), .WIDTH(32), .COMPARED(0), .STREAM(0)) log_clocks (
      .clk(clk), .rst(rst), .valid(h_valid && h_ready && h_end), .ready(1'b1), .data(clocks),
      .records(unused_records), .mismatches(unused_mismatches), .unstable(unused_unstable), .more(unused_more)
  );

  // ---- stimulus ----------------------------------------------------------------------------------------------------
  string name;
  integer file, found, idle, stall, utterances, watchdog;
  reg [15:0] words[0:1023];
  integer position, filled;
  reg checking, there;
  reg asking, held, over;  // stimulus from standard input; none before the next answer; none any more
  reg replied;  // that answer is there, and by now in its file too
  /* verilator lint_off UNUSEDSIGNAL */
  reg [15:0] word;  // {code, 5 bits of no meaning, keep, ask, last}
  /* verilator lint_on UNUSEDSIGNAL */
  reg [INPUT_BITS+1:0] following;  // {keep, last, code}
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
        following = {word[2], word[0], word[8+:INPUT_BITS]};
      end
    end else begin
      // Two bytes a code, many codes a call.
      if (position == filled) begin
        filled = $fread(words, file) / 2;
        position = 0;
      end
      there = filled > 0;
      following = {words[position][2], words[position][0], words[position][8+:INPUT_BITS]};
      position = position + 1;
    end
  endtask

  initial begin
    rst = 1;
    clocks = 0;
    x_valid = 0;
    x_code = 0;
    x_last = 0;
    x_keep = 0;
    h_ready = 0;
    logit_ready = 0;
    answer_ready = 0;
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
    if (!$value$plusargs("calibration=%h", calibration)) calibration = 0;
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
          {x_keep, x_last, x_code} <= following;
          fetch;
        end else if (there) x_idle = x_idle + 1;
      end
      if (h_valid && !h_ready) h_stalled = h_stalled + 1;
      if (logit_valid && !logit_ready) logit_stalled = logit_stalled + 1;
      if (!array_ready) array_stalled = array_stalled + 1;
      h_ready <= stall == 0 || random[15:8] * 100 >= stall * 256;
      logit_ready <= stall == 0 || random[23:16] * 100 >= stall * 256;
      answer_ready <= stall == 0 || random[31:24] * 100 >= stall * 256;
    end
  end

  // ---- end ---------------------------------------------------------------------------------------------------------
  integer finished, quiet, drain;
  reg ended;  // the step whose h came last is the last one of its utterance; no other comes before its answer
  integer summary, compared, wrong, k;
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

  task finish(input stuck);
    begin
      compared = 0;
      wrong = 0;
      for (k = 0; k < LOGS; k = k + 1) begin
        compared = compared + records[k];
        wrong = wrong + mismatches[k] + unstable[k];
      end
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
        log_missing;
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
