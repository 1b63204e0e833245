// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing
import Tracing

/// Raw values as waitpid(2) and ptrace(2) lay them out.
@Suite struct WaitStatusTests {
    private static func stop(_ signal: Int32, event: Int32 = 0) -> Int32 { event << 16 | signal << 8 | 0x7f }

    @Test func exits() {
        for code: Int32 in 0...255 {
            #expect(WaitStatus(raw: code << 8) == .exited(code: code))
            #expect(WaitStatus(raw: code << 8).isEnd)
        }
    }

    @Test func deathsBySignal() {
        for signal: Int32 in 1...64 {
            #expect(WaitStatus(raw: signal) == .killed(signal: signal))
            #expect(WaitStatus(raw: signal | 0x80) == .killed(signal: signal), "with a core file")
            #expect(WaitStatus(raw: signal).isEnd)
        }
    }

    @Test func stopsBySignal() {
        for signal: Int32 in 1...64 {
            #expect(WaitStatus(raw: Self.stop(signal)) == .signal(signal))
            #expect(!WaitStatus(raw: Self.stop(signal)).isEnd)
        }
    }

    @Test func systemCallStops() {
        #expect(WaitStatus(raw: Self.stop(SIGTRAP | 0x80)) == .systemCall)
    }

    @Test func events() {
        for event: Int32 in 1...8 { // PTRACE_EVENT_FORK … PTRACE_EVENT_SECCOMP and after
            #expect(WaitStatus(raw: Self.stop(SIGTRAP, event: event)) == .event(event))
        }
        for signal in [SIGTRAP, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU] {
            #expect(WaitStatus(raw: Self.stop(signal, event: 128)) == .interrupted(signal: signal))
        }
    }
}
