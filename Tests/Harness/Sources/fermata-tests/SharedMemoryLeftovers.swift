import Foundation
import Glibc

/// Open MPI keeps its segments in /dev/shm by name until MPI_Finalize; a rank that is killed leaves
/// them behind. What appeared during the tests and is mapped by nobody any more is removed.
struct SharedMemoryLeftovers {
    private let folder = "/dev/shm"
    private let before: Set<String>

    init() {
        before = Set((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
    }

    func remove() {
        let present = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let ours = present.filter { name in
            !before.contains(name)
                && (name.hasPrefix("vader_segment.") || name.hasPrefix("mpich_shar_tmp"))
        }
        guard !ours.isEmpty else { return }
        let maps = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [])
            .filter { Int($0) != nil }
            .map { (try? String(contentsOfFile: "/proc/\($0)/maps", encoding: .utf8)) ?? "" }
        for name in ours where !maps.contains(where: { $0.contains("\(folder)/\(name)") }) {
            unlink("\(folder)/\(name)")
        }
    }
}
