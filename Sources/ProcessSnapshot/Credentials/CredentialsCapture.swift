// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// User and group ids, groups, capabilities of one thread: to the kernel they are the thread's
/// own (credentials(7), capabilities(7)).
enum CredentialsCapture {
    static func capture(
        _ status: ProcessStatus, _ remote: borrowing RemoteSyscalls
    ) throws -> ImageCredentials {
        let secureBits = try remote.call(.prctl, 27)  // PR_GET_SECUREBITS
        return .with {
            $0.uids = status.uids
            $0.gids = status.gids
            $0.groups = status.groups
            $0.capabilities = status.capabilities
            $0.secureBits = UInt32(secureBits)
            $0.noNewPrivileges = status.noNewPrivileges
        }
    }
}
