import Foundation
import Glibc
import HarnessKit

/// Jobs with terminals: a shell on the terminal of `fermata run`, and tmux with a shell and vim,
/// whose terminals are in the job itself.
enum InteractiveTests {
    static func all(_ options: Options) -> [TestCase] {
        if options.plain {
            return [TestCase("plain.tmux", tags: ["plain"]) { try tmux(nil, $0) }]
        }
        return CheckpointMode.allCases.flatMap { mode in
            [
                TestCase("jobs.terminal.\(mode.rawValue)", tags: ["jobs", "interactive"]) {
                    try shellOnTerminal(mode, $0)
                },
                TestCase("jobs.tmux.\(mode.rawValue)", tags: ["jobs", "interactive"]) {
                    try tmux(mode, $0)
                },
            ]
        }
    }

    private static func shellOnTerminal(
        _ mode: CheckpointMode, _ context: TestContext
    ) throws {
        let terminal = try Pseudoterminal()
        let command =
            [context.tool.path, "run", "--job", "job", "--"]
            + ["bash", "--norc", "--noprofile", "-i"]
        let shell = try ChildProcess(
            command, environment: context.tool.environment, directory: context.scratch,
            input: .terminal(path: terminal.path), output: .terminal(path: terminal.path),
            errors: .terminal(path: terminal.path))
        terminal.type("x=40; mkdir -p below; cd below; tty\n")
        try terminal.wait(for: "/dev/pts/", seconds: 20)
        // The answer is not in what was typed, so the echo of the input cannot be taken for it.
        terminal.type("sleep 300 & echo before-$((x+1))-cut\n")
        try terminal.wait(for: "before-41-cut", seconds: 20)
        pause(seconds: context.random.seconds(in: 0...0.1))
        let result = try context.tool.checkpoint("job", mode: mode, kill: true)
        try expect(result.status == .exited(0), "checkpoint: \(result.lastWords)")
        try expect(shell.wait(seconds: 20) != nil, "'fermata run' did not end after --kill")

        let second = try Pseudoterminal()
        let restart = try ChildProcess(
            [context.tool.path, "restart", "job"], environment: context.tool.environment,
            directory: context.root, input: .terminal(path: second.path),
            output: .terminal(path: second.path), errors: .terminal(path: second.path))
        // Type-ahead is thrown away by whoever makes the terminal raw: wait until that is done.
        let known = try poll(seconds: 20) {
            try context.tool.status(of: "job")?.state == "running" ? true : nil
        }
        try expect(known == true, "the restart is not running: \(second.screen())")
        pause(seconds: 0.3)
        second.type("echo after-$((x+2))-$(basename $PWD)\n")
        try second.wait(for: "after-42-below", seconds: 30)
        second.type("jobs\n")
        try second.wait(for: "sleep 300", seconds: 10)
        // The terminal's line discipline still turns ^C into a signal for the foreground.
        second.type("sleep 200\n")
        pause(seconds: 0.5)
        second.type("\u{3}")
        second.type("kill %1; echo again-$((x+3))\n")
        try second.wait(for: "again-43", seconds: 10)
        second.type("exit 6\n")
        let status = restart.wait(seconds: 20)
        try expect(status == .exited(6), "exit 6 became \(status.map { "\($0)" } ?? "nothing")")
        try context.expectNothingLeft("after the shell's exit")
    }

    // MARK: tmux

    /// A client of the session, which is not part of the job.
    private struct Session {
        let context: TestContext
        let socket: String

        func send(_ window: String, _ keys: String...) throws {
            _ = try tmux(["send-keys", "-t", window] + keys)
        }

        func screen(_ window: String) throws -> String {
            try tmux(["capture-pane", "-p", "-t", window]).output
        }

        func wait(_ window: String, for text: String) throws {
            var shown = ""
            let found = try poll(seconds: 20) { () -> Bool? in
                shown = try screen(window)
                return shown.contains(text) ? true : nil
            }
            try expect(found == true, "window \(window) never showed '\(text)': \(shown)")
        }

        @discardableResult
        func tmux(_ arguments: [String]) throws -> CommandResult {
            let result = try context.tool.run(["tmux", "-S", socket] + arguments, seconds: 15)
            try expect(
                result.status == .exited(0), "tmux \(arguments): \(result.lastWords)")
            return result
        }
    }

    /// Without a mode: the session alone, to check the test.
    private static func tmux(_ mode: CheckpointMode?, _ context: TestContext) throws {
        for program in ["tmux", "vim"] {
            let there = try context.tool.run(["sh", "-c", "command -v \(program)"])
            if there.status != .exited(0) { throw TestSkip("\(program) is not installed") }
        }
        let command = ["sh", context.options.repository + "/Tests/Jobs/tmux/session.sh", "socket"]
        let session = Session(context: context, socket: context.scratch + "/socket")
        var run =
            mode == nil
            ? try context.start("plain", command) : try context.runJob("job", command)
        _ = try run.waitForLine("started", seconds: 20)
        try prepare(session)
        pause(seconds: context.random.seconds(in: 0...0.2))
        if let mode {
            let result = try context.tool.checkpoint("job", mode: mode, kill: true)
            try expect(result.status == .exited(0), "checkpoint: \(result.lastWords)")
            _ = try run.finish(seconds: 20, "'fermata run' after --kill")
            try context.expectNothingLeft("after checkpoint --kill")
            run = try context.restart("job")
            let answers = try poll(seconds: 20) {
                try context.tool.run(["tmux", "-S", session.socket, "list-windows"]).status
                    == .exited(0) ? true : nil
            }
            try expect(answers == true, "the tmux server does not answer\(run.complaint)")
        }
        try verify(session, context)
        touch(context.scratch + "/finish")
        let status = try run.finish(seconds: 20, "the job after its end was asked for")
        try expect(status == .exited(0), "the job: \(status)\(run.complaint)")
        let expected = mode == nil ? "started\nfinished\n" : "finished\n"
        try expect(run.outputText == expected, "it printed '\(run.outputText)'")
        try context.expectNothingLeft("after the session's end")
    }

    /// State that is nowhere but in memory: a variable, a directory, a running loop, an edit that
    /// is not saved, a register, an undo history.
    private static func prepare(_ session: Session) throws {
        // What is typed before the shell has set its terminal up is lost.
        try session.wait("shell", for: "#")
        try session.send("shell", "x=40; mkdir -p below; cd below; echo in-$((x+1))", "Enter")
        try session.wait("shell", for: "in-41")
        try session.tmux(["new-window", "-d", "-n", "editor", "exec vim -u NONE -N -i NONE"])
        try session.send("editor", ":set noswapfile nofixeol", "Enter")
        try session.send("editor", "ifirst line", "Enter", "second line", "Enter", "third")
        try session.send("editor", "Escape", "gg", "yy", "G", "p")
        try session.wait("editor", for: "third\nfirst line")
        try session.tmux([
            "new-window", "-d", "-n", "loop",
            "i=0; while :; do i=$((i+1)); echo count $i; sleep 0.02; done",
        ])
        try session.wait("loop", for: "count 5")
    }

    private static func verify(_ session: Session, _ context: TestContext) throws {
        try session.wait("shell", for: "in-41")
        try session.send("shell", "clear; echo $((x+2))-$(basename $PWD)-$$", "Enter")
        try session.wait("shell", for: "42-below-")
        try session.wait("editor", for: "third\nfirst line")
        let file = context.scratch + "/edited.txt"
        try session.send("editor", "P", ":%s/second/2nd/", "Enter", ":w \(file)", "Enter")
        let expected = "first line\n2nd line\nthird\nfirst line\nfirst line\n"
        let written = poll(seconds: 10) { readText(file) == expected ? true : nil }
        try expect(written == true, "vim wrote '\(readText(file))', expected '\(expected)'")
        try session.send("editor", "uuu", ":w! \(file)", "Enter")
        let undone = "first line\nsecond line\nthird\n"
        let undid = poll(seconds: 10) { readText(file) == undone ? true : nil }
        try expect(undid == true, "after undo vim wrote '\(readText(file))'")
        let before = try session.screen("loop")
        let goesOn = try poll(seconds: 10) { try session.screen("loop") != before ? true : nil }
        try expect(goesOn == true, "the loop in the third window stands still")
    }
}
