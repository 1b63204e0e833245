/// The JSON that `fermata … --json` prints, as far as the tests look at it.
package struct StatusDocument: Decodable {
    package struct Job: Decodable {
        package let job: String
        package let state: String
        package let coordinatorPid: Int32?
        package let epoch: Int?
        package let processes: [Process]?
    }

    package struct Process: Decodable {
        /// The process's number as the job sees it.
        package let pid: Int32
        package let hostPid: Int32
        package let command: String?
    }

    package let jobs: [Job]
}

package struct ListDocument: Decodable {
    package struct Checkpoint: Decodable {
        package let job: String
        package let epoch: Int
        package let bytes: Int64?
    }

    package let checkpoints: [Checkpoint]
}

/// sysexits as the design assigns them.
package enum ExitCode {
    package static let unavailable: Int32 = 69
    package static let cannotCreate: Int32 = 73
    package static let ioError: Int32 = 74
    package static let temporary: Int32 = 75
    package static let refused: Int32 = 77
}
