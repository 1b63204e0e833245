// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem
import Testing

@Suite struct StoreTests {
    let folder: TemporaryFolder
    let store: Store

    init() throws {
        folder = try TemporaryFolder()
        store = folder.store
    }

    @Test("Nothing exists before the manifest does")
    func commitMakesIt() throws {
        let writer = try SampleEpoch.write(store, "job", 1, commit: false)
        #expect(store.epochs("job") == [])
        #expect(throws: ImageError.self) { try ImageReader(store: store, job: "job", epoch: 1) }
        try writer.commit(ImageManifest.with { $0.command = ["true"] })
        #expect(store.epochs("job") == [1])
        #expect(!fileExists(writer.folder + "/manifest.partial"))
        let reader = try ImageReader(store: store, job: "job", epoch: 1)
        #expect(reader.manifest.job == "job")
        #expect(reader.manifest.epoch == 1)
        #expect(reader.manifest.command == ["true"])
        #expect(reader.manifest.files.count == 3)
        #expect(reader.verify().isEmpty)
    }

    @Test("Files are for their owner only")
    func modes() throws {
        let writer = try SampleEpoch.write(store, "job", 1)
        for path in SampleEpoch.files(of: writer.folder) {
            var info = stat()
            #expect(stat(path, &info) == 0)
            #expect(info.st_mode & 0o777 == 0o600, "\(path)")
        }
        var info = stat()
        #expect(stat(writer.folder, &info) == 0)
        #expect(info.st_mode & 0o777 == 0o700)
    }

    @Test("Contents come back, of several nodes")
    func contents() throws {
        try SampleEpoch.write(store, "job", 1, nodes: 3)
        let reader = try ImageReader(store: store, job: "job", epoch: 1)
        #expect(reader.manifest.nodes == 3)
        var random = TestRandom(seed: 1)
        for node: UInt32 in 0..<3 {
            let inventory = try reader.inventory(node: node)
            #expect(inventory.node == node)
            for (k, size) in SampleEpoch.sizes.enumerated() {
                let bytes = try reader.blocks(inventory.blockFiles[k], node: node).contents()
                #expect(bytes.count == Int(size))
                for page in 0..<bytes.count / 4096 {
                    let expected = page % 3 == 1
                        ? [UInt8](repeating: 0, count: 4096)
                        : (0..<4096).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                    #expect(bytes[page * 4096..<(page + 1) * 4096].elementsEqual(expected), "page \(page)")
                }
            }
        }
        #expect(reader.verify().isEmpty)
    }

    @Test("Verify counts every byte of page data")
    func progress() throws {
        try SampleEpoch.write(store, "job", 1)
        var total: UInt64 = 0
        let problems = try ImageReader(store: store, job: "job", epoch: 1).verify { total += $0 }
        #expect(problems.isEmpty)
        #expect(total == SampleEpoch.sizes.reduce(0, +))
    }

    @Test("Remains of attempts go, committed epochs stay")
    func remains() throws {
        try SampleEpoch.write(store, "job", 1)
        try SampleEpoch.write(store, "job", 2, commit: false)
        try SampleEpoch.write(store, "job", 3)
        #expect(store.epochs("job") == [1, 3])
        #expect(store.nextEpoch("job") == 4)
        store.removeRemains("job")
        #expect(!fileExists(store.folder("job", 2)))
        #expect(store.epochs("job") == [1, 3])
        for epoch: UInt64 in [1, 3] {
            #expect(try ImageReader(store: store, job: "job", epoch: epoch).verify().isEmpty)
        }
    }

    @Test func discard() throws {
        let writer = try SampleEpoch.write(store, "job", 1, commit: false)
        writer.discard()
        #expect(!fileExists(writer.folder))
        #expect(fileExists(store.folder("job")))
    }

    @Test("Keeps the newest, and always one")
    func retain() throws {
        for epoch: UInt64 in 1...5 { try SampleEpoch.write(store, "job", epoch) }
        store.retain("job", count: 3)
        #expect(store.epochs("job") == [3, 4, 5])
        store.retain("job", count: 0)
        #expect(store.epochs("job") == [5])
        #expect(try ImageReader(store: store, job: "job", epoch: 5).verify().isEmpty)
    }

    @Test("Epochs are in the order of numbers, not of names")
    func order() throws {
        for epoch: UInt64 in [10, 9, 100, 2] { try SampleEpoch.write(store, "job", epoch) }
        #expect(store.epochs("job") == [2, 9, 10, 100])
        #expect(try store.resolve("job").epoch == 100)
        #expect(store.nextEpoch("job") == 101)
    }

    @Test func resolve() throws {
        try SampleEpoch.write(store, "job", 1)
        try SampleEpoch.write(store, "job", 2)
        try SampleEpoch.write(store, "job", 3, commit: false)
        #expect(try store.resolve("job") == ("job", 2))
        #expect(try store.resolve("job@1") == ("job", 1))
        for wrong in ["job@3", "job@4", "job@x", "job@", "nothing", "nothing@1"] {
            #expect(throws: NoSuchCheckpoint.self, "\(wrong)") { try store.resolve(wrong) }
        }
        do { _ = try store.resolve("job@7") } catch { #expect("\(error)".contains("1, 2")) }
        #expect(try store.jobs() == ["job"])
        #expect(try Store(root: store.root + "/nowhere").jobs() == [])
        #expect(throws: SystemError.self) { try Store(root: "/dev/null").jobs() }
    }

    @Test func whereItIs() {
        func locate(_ flag: String?, _ environment: [String: String]) -> String {
            Store.locate(flag) { environment[$0] }.root
        }
        let all = ["FERMATA_STORE": "/e", "XDG_DATA_HOME": "/x", "HOME": "/h"]
        #expect(locate("/f", all) == "/f")
        #expect(locate(nil, all) == "/e")
        #expect(locate(nil, ["FERMATA_STORE": "", "XDG_DATA_HOME": "/x"]) == "/x/fermata")
        #expect(locate(nil, ["HOME": "/h"]) == "/h/.local/share/fermata")
        #expect(locate("a/b", [:]).hasSuffix("/a/b"))
        #expect(locate("a/b", [:]).hasPrefix("/"))
    }

    @Test("A folder that cannot be made is an error that names it")
    func unwritable() throws {
        let file = folder.path + "/file"
        try overwrite(file, [1])
        let error = #expect(throws: StoreUnusable.self) {
            try EpochWriter(store: Store(root: file), job: "job", epoch: 1)
        }
        #expect(error?.description.contains(file) == true)
    }
}
