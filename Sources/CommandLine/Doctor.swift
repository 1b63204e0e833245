// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CLinux
import Glibc
import Launching
import LinuxSystem
import ProcessSnapshot

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what this machine can and cannot do, and why.",
        discussion: "Exit status 0 when checkpoint and restart work, 77 when they do not.")

    @Flag(help: "Print the table of what cannot be checkpointed, as docs/limits.md has it.")
    var limits = false

    @OptionGroup var json: JSONFlag

    func run() throws {
        if limits { return Terminal.print(LimitsDocument.text) }
        let findings = Examination().findings
        if json.json { return try printJSON(["findings": findings]) }
        for finding in findings {
            Terminal.print("\(finding.works ? "yes" : finding.needed ? "NO " : "no ")  \(finding.what)")
            if !finding.works { Terminal.print("       \(finding.why)") }
        }
        guard findings.allSatisfy({ $0.works || !$0.needed }) else {
            throw ExitCode(CommandFailure.permission)
        }
    }
}

/// One thing the machine can or cannot do.
struct Finding: Encodable {
    let what: String
    let works: Bool
    /// Without it neither checkpoint nor restart works.
    let needed: Bool
    let why: String
}

/// Tries things out; touches nothing but processes of its own.
struct Examination {
    var findings: [Finding] {
        [
            finding(
                "namespaces, for restart: as root, or in a user namespace",
                geteuid() == 0 || UserNamespace.isAllowed,
                "start it as root, or see user_namespaces(7)"),
            finding("x86-64 with XSAVE", fermata_xcr0() != 0, "no XSAVE state"),
            path("pid namespaces", "/proc/self/ns/pid", needed: true),
            path("IPC namespaces", "/proc/self/ns/ipc", needed: true),
            path("time namespaces: clocks go on after restart", "/proc/self/ns/time", needed: false),
            path(
                "ids of System V objects kept (CONFIG_CHECKPOINT_RESTORE)",
                "/proc/sys/kernel/shm_next_id", needed: false),
            finding("PAGEMAP_SCAN (Linux 6.7)", pagemapScan(), "kernel \(release()) is too old"),
            finding(
                "userfaultfd: memory on demand at restart", userfaultfd(), needed: false,
                "not allowed: memory is read before the job goes on (vm.unprivileged_userfaultfd)"),
            finding(
                "Unix sockets (sock_diag)", (try? SocketDiagnostics.unixSockets()) != nil,
                "CONFIG_UNIX_DIAG is off"),
            finding(
                "TCP_REPAIR: connections between processes of the job", TCPRepair.isAllowed,
                needed: false, Limit.networkPrivilege.remedy),
            finding(
                "verbs without an adapter: the soft fabric's library", VerbsMode.installed != nil,
                needed: false, "not built: Launchers/build-verbs"),
            finding("vDSO to enter processes through", vdso(), "booted with vdso=0?"),
        ]
    }

    private func finding(_ what: String, _ works: Bool, needed: Bool = true, _ why: String) -> Finding {
        Finding(what: what, works: works, needed: needed, why: works ? "" : why)
    }

    private func path(_ what: String, _ path: String, needed: Bool) -> Finding {
        finding(
            what, access(path, F_OK) == 0, needed: needed, "\(path) does not exist: the kernel lacks it")
    }

    private func release() -> String { (try? ProcFS.text("/proc/sys/kernel/osrelease")) ?? "?" }

    private func pagemapScan() -> Bool {
        guard let pagemap = try? Descriptor.open("/proc/self/pagemap", O_RDONLY) else { return false }
        var argument = fermata_pm_scan_arg()
        argument.end = 4096
        return fermata_pagemap_scan(pagemap.number, &argument) >= 0
    }

    private func userfaultfd() -> Bool {
        let fd = Kernel.raw(.userfaultfd, Int(O_CLOEXEC))
        guard fd >= 0 else { return false }
        let descriptor = Descriptor(owning: Int32(fd))
        return fermata_uffd_api(descriptor.number, 1) >= 0
    }

    private func vdso() -> Bool {
        ((try? MappingEntry.list(getpid())) ?? []).contains { $0.path == "[vdso]" }
    }
}
