import Foundation
import Glibc
import Synchronization

/// How a process ended, as a shell sees it.
package enum ExitStatus: Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(signal: Int32)

    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7F
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xFF) : .killed(signal: signal)
    }

    /// 128 + signal for a killed process: what `fermata run` passes on for a killed job.
    package var code: Int32 {
        switch self {
        case .exited(let code): code
        case .killed(let signal): 128 + signal
        }
    }

    package var description: String {
        switch self {
        case .exited(let code): "exit status \(code)"
        case .killed(let signal): "killed by signal \(signal)"
        }
    }
}

package enum Input {
    case null
    case descriptor(Int32)
    /// The slave side of a pseudoterminal; it becomes the controlling terminal.
    case terminal(path: String)
}

package enum Output {
    case file(String)
    /// A pipe whose other end the harness empties into the file: the kind of output that a batch
    /// system or `| tee` gives a job.
    case pipe(into: String)
    case terminal(path: String)
}

/// A process of the harness, in a process group of its own, so that no signal meant for the harness
/// or for another test reaches it.
///
/// Not in a session of its own, unless it has a terminal: a session leader's group is orphaned, and
/// the kernel then drops SIGTSTP. A job that somebody starts from a shell or a batch script is not
/// in that state, and its session leader is outside the job.
package final class ChildProcess {
    package let pid: pid_t
    package let arguments: [String]
    private var ended: ExitStatus?
    private var pumps: [OutputPump] = []

    /// posix_spawn and the pipes made for it: without the lock a child of another thread could
    /// inherit the writing end of a pipe, and its reader would never see the end.
    private static let spawning = Mutex(())
    private static let closing = Atomic<Bool>(false)

    /// From now on nothing is started: an interrupted harness must not start the next test while it
    /// ends the processes of this one.
    package static func startNoMore() {
        closing.store(true, ordering: .sequentiallyConsistent)
    }

    package init(
        _ arguments: [String], environment: [String: String], directory: String,
        input: Input = .null, output: Output, errors: Output
    ) throws {
        self.arguments = arguments
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        // POSIX_SPAWN_SETSID is hidden behind _GNU_SOURCE, which Swift's importer does not define.
        var group = Int16(POSIX_SPAWN_SETPGROUP)
        if case .terminal = input { group = 0x80 }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, group | Int16(POSIX_SPAWN_SETSIGMASK))

        switch input {
        case .null: posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        case .descriptor(let number): posix_spawn_file_actions_adddup2(&actions, number, 0)
        case .terminal(let path): posix_spawn_file_actions_addopen(&actions, 0, path, O_RDWR, 0)
        }
        // `env -C` rather than a file action: addchdir_np is not visible from Swift either. It
        // executes the command in the same process.
        let full = ["/usr/bin/env", "-C", directory] + arguments
        var started: [OutputPump] = []
        pid = try ChildProcess.spawning.withLock { _ in
            if ChildProcess.closing.load(ordering: .sequentiallyConsistent) {
                throw TestFailure("interrupted")
            }
            var inherited: [Int32] = []
            defer { for end in inherited { close(end) } }
            for (number, target) in [(Int32(1), output), (Int32(2), errors)] {
                switch target {
                case .file(let path):
                    posix_spawn_file_actions_addopen(
                        &actions, number, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
                case .terminal(let path):
                    posix_spawn_file_actions_addopen(&actions, number, path, O_RDWR, 0)
                case .pipe(let path):
                    let pump = try OutputPump(into: path)
                    posix_spawn_file_actions_adddup2(&actions, pump.writingEnd, number)
                    inherited.append(pump.writingEnd)
                    started.append(pump)
                }
            }
            return try ChildProcess.spawn(full, environment, &actions, &attributes)
        }
        pumps = started
    }

    private static func spawn(
        _ arguments: [String], _ environment: [String: String],
        _ actions: inout posix_spawn_file_actions_t, _ attributes: inout posix_spawnattr_t
    ) throws -> pid_t {
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in argv + envp { free(word) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, arguments[0], &actions, &attributes, &argv, &envp)
        if error != 0 {
            throw TestFailure("cannot start \(arguments): \(String(cString: strerror(error)))")
        }
        return pid
    }

    deinit {
        if poll() == nil {
            kill(pid, SIGKILL)
            _ = wait(seconds: 5)
        }
    }

    /// The status if the process has ended.
    package func poll() -> ExitStatus? {
        if let ended {
            return ended
        }
        var status: Int32 = 0
        let result = waitpid(pid, &status, WNOHANG)
        if result == pid {
            ended = ExitStatus(waitStatus: status)
        }
        return ended
    }

    package func wait(seconds: Double) -> ExitStatus? {
        HarnessKit.poll(seconds: seconds) { poll() }
    }

    package func signal(_ number: Int32) {
        if ended == nil {
            kill(pid, number)
        }
    }

    /// Everything that was written into the pipes is in the files afterwards, provided that no
    /// process holds a writing end any more.
    package func waitForOutput(seconds: Double) -> Bool {
        pumps.allSatisfy { $0.finish(seconds: seconds) }
    }
}

/// Copies a pipe into a file until the last writer is gone.
final class OutputPump: Sendable {
    let writingEnd: Int32
    private let done = Atomic<Bool>(false)

    init(into path: String) throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw TestFailure("pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        writingEnd = ends[1]
        let source = ends[0]
        let target = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard target >= 0 else { throw TestFailure("\(path): errno \(errno)") }
        let thread = Thread { [self] in
            let buffer = UnsafeMutableRawPointer.allocate(byteCount: 65536, alignment: 16)
            while true {
                let count = read(source, buffer, 65536)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { break }
                var written = 0
                while written < count {
                    let n = write(target, buffer + written, count - written)
                    if n <= 0 { break }
                    written += n
                }
            }
            buffer.deallocate()
            close(source)
            close(target)
            done.store(true, ordering: .releasing)
        }
        thread.start()
    }

    func finish(seconds: Double) -> Bool {
        HarnessKit.poll(seconds: seconds) { done.load(ordering: .acquiring) ? true : nil } ?? false
    }
}
