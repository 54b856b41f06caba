// SPDX-License-Identifier: Apache-2.0
// Simulation models of the ECP5 cells that yosys emits without an open model. Those that have one come from the yosys
// that made the netlist: its share/lattice must be on the include path.

`include "common_sim.vh"
`include "ccu2c_sim.vh"

// Block memory with two ports, as yosys uses it: no output registers, chip select 0. It is 512 words of four bytes of 9
// bits; ports of width 1, 2 and 4 do not see a byte's last bit. At width 36, port A writes with DIB above DIA, and port
// B reads with DOB above DOA. Address bits that widths 18 and 36 do not need enable bytes.
// What a port reads while the other one writes it is undefined in silicon. Here it is the complement of what was there,
// so that a netlist that makes use of it goes wrong.
module DP16KD (
  input
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1,
    DIA0,
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
    DIB0,
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
    DOA0,
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
  parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB";
  parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter GSR = "AUTO";
  parameter [319:0]
    INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0,
    INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0,
    INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0,
    INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0, INITVAL_0F = 0,
    INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0,
    INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0,
    INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0,
    INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0;
  parameter [319:0]
    INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0, INITVAL_23 = 0,
    INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0,
    INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0,
    INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0,
    INITVAL_30 = 0, INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0,
    INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
    INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0,
    INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0;

  initial begin
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") $fatal(1, "DP16KD: output registers are not modeled");
    if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") $fatal(1, "DP16KD: only chip select 0 is modeled");
  end

  wire [13:0] address_a = {
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
  };
  wire [13:0] address_b = {
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
  };
  wire [17:0] in_a = {
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0
  };
  wire [17:0] in_b = {
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0
  };
  reg [35:0] out_a = 0, out_b = 0;
  assign {
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0
  } = DATA_WIDTH_B == 36 ? out_b[17:0] : out_a[17:0];
  assign {
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
  } = DATA_WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];

  // An INITVAL holds 16 half words of 18 bits, 20 bits apart.
  wire [20479:0] init = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37,
    INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E,
    INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25,
    INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
    INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13,
    INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A,
    INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
    INITVAL_00
  };
  reg [35:0] memory [0:511];
  integer k;
  initial for (k = 0; k < 512; k = k + 1) memory[k] = {init[20*(2*k+1) +: 18], init[20*2*k +: 18]};

  // Lowest bit in a word that an address of a port means, all the bits it means, and those that a write changes.
  function [5:0] lowest(input integer width, input [4:0] a);
    case (width)
      36: lowest = 0;
      18: lowest = a[4] ? 18 : 0;
      default: lowest = 9 * a[4:3] + (a[2:0] & {width < 9, width < 4, width < 2});
    endcase
  endfunction
  function [35:0] all(input integer width);
    all = width == 36 ? ~36'd0 : (36'd1 << width) - 36'd1;
  endfunction
  function [35:0] written(input integer width, input [4:0] a);
    case (width)
      36: written = {{9{a[3]}}, {9{a[2]}}, {9{a[1]}}, {9{a[0]}}};
      18: written = {18'd0, {9{a[1]}}, {9{a[0]}}};
      default: written = all(width);
    endcase
  endfunction

  wire clk_a = CLKAMUX == "INV" ? ~CLKA : CLKA;
  wire clk_b = CLKBMUX == "INV" ? ~CLKB : CLKB;
  wire chosen_a = CEA & ~(CSA2 | CSA1 | CSA0);
  wire chosen_b = CEB & ~(CSB2 | CSB1 | CSB0);
  wire write_a = chosen_a & WEA & ~RSTA;
  wire write_b = chosen_b & WEB & ~RSTB;
  wire [5:0] shift_a = lowest(DATA_WIDTH_A, address_a[4:0]);
  wire [5:0] shift_b = lowest(DATA_WIDTH_B, address_b[4:0]);
  wire [35:0] mask_a = written(DATA_WIDTH_A, address_a[4:0]) << shift_a;
  wire [35:0] mask_b = written(DATA_WIDTH_B, address_b[4:0]) << shift_b;
  wire [35:0] data_a = {DATA_WIDTH_A == 36 ? in_b : 18'd0, in_a} << shift_a;
  wire [35:0] data_b = {18'd0, in_b} << shift_b;
  wire [8:0] word_a = address_a[13:5];
  wire [8:0] word_b = address_b[13:5];

  always @(posedge clk_a) if (write_a) memory[word_a] <= memory[word_a] & ~mask_a | data_a & mask_a;
  always @(posedge clk_b) if (write_b) memory[word_b] <= memory[word_b] & ~mask_b | data_b & mask_b;

  wire same = word_a == word_b;
  wire [35:0] seen_a = memory[word_a] ^ (write_b & same ? mask_b : 36'd0);
  wire [35:0] seen_b = memory[word_b] ^ (write_a & same ? mask_a : 36'd0);
  wire [35:0] through_a = WEA & WRITEMODE_A == "WRITETHROUGH" ? seen_a & ~mask_a | data_a & mask_a : seen_a;
  wire [35:0] through_b = WEB & WRITEMODE_B == "WRITETHROUGH" ? seen_b & ~mask_b | data_b & mask_b : seen_b;

  wire reset_a = RESETMODE == "ASYNC" & RSTA;
  wire reset_b = RESETMODE == "ASYNC" & RSTB;
  always @(posedge clk_a, posedge reset_a)
    if (RSTA) out_a <= 0;
    else if (chosen_a & ~(WEA & WRITEMODE_A == "NORMAL")) out_a <= through_a >> shift_a & all(DATA_WIDTH_A);
  always @(posedge clk_b, posedge reset_b)
    if (RSTB) out_b <= 0;
    else if (chosen_b & ~(WEB & WRITEMODE_B == "NORMAL")) out_b <= through_b >> shift_b & all(DATA_WIDTH_B);
endmodule

// Multiplier, as yosys uses it: no registers, nothing cascaded.
module MULT18X18D (
  input
    A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
  output
    P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13,
    P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
  parameter REG_INPUTA_CLK = "NONE", REG_INPUTB_CLK = "NONE", REG_INPUTC_CLK = "NONE";
  parameter REG_PIPELINE_CLK = "NONE", REG_OUTPUT_CLK = "NONE";

  initial begin
    if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_INPUTC_CLK != "NONE" ||
        REG_PIPELINE_CLK != "NONE" || REG_OUTPUT_CLK != "NONE")
      $fatal(1, "MULT18X18D: registers are not modeled");
  end

  wire [17:0] a = {
    A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
  };
  wire [17:0] b = {
    B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
  };
  wire signed [35:0] wide_a = {{18{SIGNEDA & A17}}, a};
  wire signed [35:0] wide_b = {{18{SIGNEDB & B17}}, b};
  assign {
    P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13,
    P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
  } = wide_a * wide_b;
endmodule
