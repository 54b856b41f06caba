// SPDX-License-Identifier: Apache-2.0
// The virtual board's clock and cable: bytes from a pty become UART bits on rx, bits of tx become bytes for the pty.
//
// Arguments: the pty's descriptor, the clock in Hz, bits per second, clocks of quiet after which the clock stands
// still, the number of probes, and the file for the pins ("" for none). On standard input an 'r' presses the reset
// button, and its end ends the board; so do SIGTERM and SIGINT, and SIGUSR1 presses the button. On standard error at
// the end: the clocks that passed.

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <unistd.h>

#include "Vcrossramp_board.h"
#include "verilated.h"

namespace {

constexpr uint64_t NEVER = UINT64_MAX;
constexpr uint64_t RESET_CLOCKS = 16;
constexpr uint64_t POLL_CLOCKS = 512;     // between two looks at the pty
constexpr size_t UNREAD_BYTES = 1 << 16;  // what is kept of the board's bytes while no program reads them

int signals[2];  // a pipe: a signal becomes a byte, which poll() sees

void on_signal(int number) {
    const int saved = errno;
    const char byte = number == SIGUSR1 ? 'r' : 'q';
    (void)!write(signals[1], &byte, 1);
    errno = saved;
}

[[noreturn]] void fail(const std::string &what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

// The pins as a VCD file, in nanoseconds of the board's clock.
class Pins {
  public:
    void open(const char *path, uint64_t hertz, unsigned probes) {
        static const char *names[] = {"rx", "tx", "ready", "busy", "error", "tick", "integrate", "hold"};
        file = std::fopen(path, "w");
        if (!file) fail(std::string(path) + ": " + std::strerror(errno));
        clock = hertz;
        count = 8 + probes;
        std::fprintf(file, "$timescale 1 ns $end\n$scope module board $end\n");
        for (unsigned k = 0; k < count; ++k) {
            const std::string name = k < 8 ? names[k] : "probe" + std::to_string(k - 8);
            std::fprintf(file, "$var wire 1 %c %s $end\n", char('!' + k), name.c_str());
        }
        std::fprintf(file, "$upscope $end\n$enddefinitions $end\n");
        shown = ~0u;
    }
    void show(uint64_t now, uint32_t word) {
        if (word == shown) return;
        const uint64_t time = now / clock * 1000000000 + (now % clock * 1000000000 + clock / 2) / clock;
        std::fprintf(file, "#%llu\n", (unsigned long long)time);
        for (unsigned k = 0; k < count; ++k)
            if ((word ^ shown) >> k & 1 || first) std::fprintf(file, "%u%c\n", word >> k & 1, char('!' + k));
        shown = word;
        first = false;
    }
    void flush() {
        if (file) std::fflush(file);
    }
    explicit operator bool() const { return file; }

  private:
    std::FILE *file = nullptr;
    uint64_t clock = 1;
    unsigned count = 0;
    uint32_t shown = 0;
    bool first = true;
};

class Board {
  public:
    Board(char **argv) : pty(std::atoi(argv[1])), quiet(std::strtoull(argv[4], nullptr, 10)) {
        const uint64_t clock = std::strtoull(argv[2], nullptr, 10), baud = std::strtoull(argv[3], nullptr, 10);
        for (uint64_t bit = 0; bit <= 10; ++bit) {  // rounded one by one: the other end keeps to its own crystal
            edge[bit] = (2 * bit * clock + baud) / (2 * baud);
            middle[bit] = (2 * bit + 1) * clock / (2 * baud);
        }
        if (*argv[6]) pins.open(argv[6], clock, unsigned(std::atoi(argv[5])));
        top.clk = 0;
        top.rx = 1;
        press_reset();
    }

    void run() {
        while (!ended) {
            uint64_t until = std::min({rx_next, tx_next, release, look});
            if (tx_next == NEVER) {
                while (now < until && top.tx) turn();
                if (!top.tx) tx_start(), until = now;
            } else {
                while (now < until) turn();
            }
            if (now >= rx_next) send();
            if (now >= tx_next) receive();
            if (now >= release) release_reset();
            if (now >= look) {
                if (rx_next != NEVER || tx_next != NEVER || release != NEVER || top.busy) active = now;
                serve(now - active > quiet);
                look = now + POLL_CLOCKS;
            }
        }
        pins.flush();
        std::fprintf(stderr, "clocks %llu\n", (unsigned long long)now);
        if (unread) std::fprintf(stderr, "%llu bytes were lost, since nobody read them\n", (unsigned long long)unread);
    }

  private:
    void turn() {
        top.clk = 1;
        top.eval();
        top.clk = 0;
        top.eval();
        ++now;
        if (pins)
            pins.show(now, top.rx | top.tx << 1 | top.ready << 2 | top.busy << 3 | top.error << 4 | top.tick << 5 |
                               top.integrate << 6 | top.hold << 7 | uint32_t(top.probes) << 8);
    }

    void press_reset() {
        top.rst = 1;
        release = now + RESET_CLOCKS;
        look = std::min(look, now);
    }

    void release_reset() {
        top.rst = 0;
        release = NEVER;
        if (rx_next == NEVER && !incoming.empty()) rx_next = now + 2 * edge[10];
    }

    // The next change on rx: start bit, data bits, stop bit, and the next byte's start bit.
    void send() {
        if (rx_bit == 10) {
            rx_bit = 0;
            if (incoming.empty() || release != NEVER) {  // nothing new arrives while the button is held
                rx_next = NEVER;
                return;
            }
        }
        if (rx_bit == 0) rx_begin = now;
        top.rx = rx_bit == 0 ? 0 : rx_bit == 9 ? 1 : incoming.front() >> (rx_bit - 1) & 1;
        if (rx_bit == 9) incoming.pop_front();
        rx_next = rx_begin + edge[++rx_bit];
    }

    void tx_start() {
        tx_begin = now;
        tx_bit = tx_byte = 0;
        tx_next = now + middle[0];
    }

    // The middle of a bit on tx.
    void receive() {
        if (tx_bit == 0 && top.tx) {  // a reset took the start bit back
            tx_next = NEVER;
            return;
        }
        if (tx_bit == 9) {
            if (!top.tx) fail("tx: a byte without its stop bit at clock " + std::to_string(now));
            if (outgoing.size() < UNREAD_BYTES) outgoing.push_back(char(tx_byte));
            else ++unread;
            tx_next = NEVER;
            return;
        }
        if (tx_bit > 0) tx_byte |= unsigned(top.tx) << (tx_bit - 1);
        tx_next = tx_begin + middle[++tx_bit];
    }

    // Looks at the pty, the control pipe and the signals; waits for them where the board has nothing to do.
    void serve(bool idle) {
        pollfd ready[3] = {{signals[0], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}, {pty, 0, 0}};
        if (incoming.empty()) ready[2].events |= POLLIN;
        if (!outgoing.empty()) ready[2].events |= POLLOUT;
        if (idle) pins.flush();
        if (poll(ready, 3, idle && outgoing.empty() ? -1 : 0) < 0 && errno != EINTR) fail("poll: " + error());
        // Asked in any case: what was pressed before a byte was written comes before that byte.
        control(signals[0], false);
        control(STDIN_FILENO, true);
        if (ready[2].revents & POLLOUT) {
            const ssize_t done = write(pty, outgoing.data(), outgoing.size());
            if (done > 0) outgoing.erase(0, size_t(done));
            else if (done < 0 && errno != EAGAIN && errno != EINTR) fail("pty: " + error());
        }
        if (ready[2].revents & POLLIN) {
            unsigned char bytes[4096];
            const ssize_t done = read(pty, bytes, sizeof bytes);
            if (done > 0) {
                incoming.insert(incoming.end(), bytes, bytes + done);
                if (rx_next == NEVER && release == NEVER) rx_next = now;
                active = now;
            }
        } else if (ready[2].revents & (POLLHUP | POLLERR)) {
            ended = true;  // no process holds the other end any more, not even the one that started this
        }
    }

    void control(int descriptor, bool ends) {
        char byte;
        for (;;) {
            const ssize_t done = read(descriptor, &byte, 1);
            if (done == 1 && byte == 'r') press_reset(), active = now;
            else if (done == 1 || (done == 0 && ends)) ended = true;
            if (done != 1 || ended) return;
        }
    }

    static std::string error() { return std::strerror(errno); }

    Vcrossramp_board top;
    Pins pins;
    const int pty;
    const uint64_t quiet;
    uint64_t edge[11], middle[11];  // of a byte, from its start bit on
    uint64_t now = 0, active = 0, look = 0, release = NEVER;
    uint64_t rx_next = NEVER, rx_begin = 0, tx_next = NEVER, tx_begin = 0;
    unsigned rx_bit = 0, tx_bit = 0, tx_byte = 0;
    std::deque<unsigned char> incoming;
    std::string outgoing;
    uint64_t unread = 0;
    bool ended = false;
};

void no_waiting(int descriptor) { fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK); }

}  // namespace

int main(int argc, char **argv) {
    Verilated::commandArgs(argc, argv);
    if (argc != 7) fail("usage: PTY CLOCK BAUD QUIET PROBES PINS");
    if (pipe(signals)) fail("pipe");
    for (int descriptor : {signals[0], signals[1], STDIN_FILENO, std::atoi(argv[1])}) no_waiting(descriptor);
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (int number : {SIGTERM, SIGINT, SIGUSR1}) sigaction(number, &action, nullptr);
    Board(argv).run();
    return 0;
}
