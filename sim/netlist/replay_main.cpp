// SPDX-License-Identifier: Apache-2.0
// Plays a session of question and answer on the pins of a board's netlist: what a host would send, bit by bit on rx, and
// what comes back on tx. Verilog knows nothing of it: any netlist with a clock, a reset and the two lines will do.
//
// Arguments: session, log, clocks of a bit, clocks from the end of the reset to the first byte, clocks until silence is
// no answer, clocks that a question may be repeated.
// The session has a line for each act, the log one for each question:
//   press N       hold the reset for N clocks             -
//   send HEX      send, and wait for nothing              -
//   ask HEX       send, and wait for a frame;             its bytes in hex
//                 again while it says BUSY
//   settle HEX    the same, again also while a status     the same
//                 says that something is being computed
// The log ends with "clocks N" if every question was answered. A file beside it, of its name and ".alive", gets a byte
// for every 4096 clocks, so that a slow simulation can be told from one that hangs.

#include "Vcrossramp_replay.h"
#include "verilated.h"

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t END = 0xC0, ESC = 0xDB, ESC_END = 0xDC, BUSY = 5, COMPUTING = 1;
// In a frame's body: the status, and the flags of a StatusBlock.
constexpr size_t STATUS = 4, FLAGS = 5;
// More than any frame has, with every byte escaped: a line that babbles is never silent.
constexpr uint64_t MOST_BYTES = 1 << 14;

Vcrossramp_replay *top;
std::ofstream alive;
uint64_t now = 0, bit, patience, limit;

// The receiving end: bytes on tx, and the frame under way.
uint64_t tx_begin = 0, heard = 0, bytes = 0;
unsigned tx_bit = 0, tx_byte = 0;
bool receiving = false, complete = false;
Bytes frame;

void receive_byte(uint8_t byte) {
    if (complete) return;
    if (byte != END) frame.push_back(byte);
    else if (!frame.empty()) complete = true;
}

void clock() {
    top->clk = 0;
    top->eval();
    top->clk = 1;
    top->eval();
    if (!(++now & 0xFFF)) alive.put('.').flush();
    if (!receiving) {
        if (top->tx) return;
        receiving = true;
        tx_begin = now;
        tx_bit = tx_byte = 0;
    } else if (now == tx_begin + tx_bit * bit + bit / 2) {
        if (tx_bit >= 1 && tx_bit <= 8) tx_byte |= unsigned(top->tx) << (tx_bit - 1);
        if (tx_bit++ < 9) return;
        // Without its stop bit a byte is none; a frame without it has another CRC.
        if (top->tx) {
            receive_byte(uint8_t(tx_byte));
            heard = now;  // and not of a line that stays low
            ++bytes;
        }
        receiving = false;
    }
}

void run(uint64_t clocks) {
    while (clocks--) clock();
}

void send(const Bytes &bytes) {
    for (uint8_t byte : bytes)
        for (unsigned line = byte << 1 | 1 << 9, k = 0; k < 10; ++k, line >>= 1) {
            top->rx = line & 1;
            run(bit);
        }
}

// The body of the frame on the wire, without its escapes.
Bytes body() {
    Bytes result;
    for (size_t k = 0; k < frame.size(); ++k)
        if (frame[k] == ESC && ++k < frame.size()) result.push_back(frame[k] == ESC_END ? END : ESC);
        else if (k < frame.size()) result.push_back(frame[k]);
    return result;
}

bool again(bool settle) {
    const Bytes answer = body();
    return (answer.size() > STATUS && answer[STATUS] == BUSY) ||
           (settle && answer.size() > FLAGS && answer[FLAGS] & COMPUTING);
}

// Whether there was an answer: it is in `frame`.
bool ask(const Bytes &question, bool settle) {
    const uint64_t begin = now;
    do {
        frame.clear();
        complete = false;
        bytes = 0;
        send(question);
        for (heard = now; !complete; clock())
            if (now - heard > patience || bytes > MOST_BYTES) return false;
    } while (again(settle) && now - begin < limit);
    return true;
}

Bytes from_hex(const std::string &text) {
    Bytes result;
    for (size_t k = 0; k + 1 < text.size(); k += 2)
        result.push_back(uint8_t(std::strtoul(text.substr(k, 2).c_str(), nullptr, 16)));
    return result;
}

}  // namespace

int main(int argc, char **argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    if (argc < 7) return 2;
    top = new Vcrossramp_replay(&context);
    std::ifstream session(argv[1]);
    std::ofstream log(argv[2]);
    alive.open(std::string(argv[2]) + ".alive");
    bit = std::strtoull(argv[3], nullptr, 10);
    const uint64_t release = std::strtoull(argv[4], nullptr, 10);
    patience = std::strtoull(argv[5], nullptr, 10);
    limit = std::strtoull(argv[6], nullptr, 10);

    top->rst = 0;
    top->rx = 1;
    std::string act, argument;
    while (session >> act >> argument) {
        if (act == "press") {
            top->rst = 1;
            run(std::strtoull(argument.c_str(), nullptr, 10));
            top->rst = 0;
            run(release);
        } else if (act == "send") {
            send(from_hex(argument));
        } else {
            if (!ask(from_hex(argument), act == "settle")) return 0;
            for (uint8_t byte : frame) log << std::hex << std::setw(2) << std::setfill('0') << unsigned(byte);
            log << std::endl;
        }
    }
    log << "clocks " << std::dec << now << std::endl;
    top->final();
    return 0;
}
