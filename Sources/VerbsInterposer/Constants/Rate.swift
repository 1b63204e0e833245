// SPDX-License-Identifier: Apache-2.0

/// A static rate: what the interface calls it, how many times 2.5 Gb/s (none for lane rates that
/// are no whole multiple in the interface's eyes), and the signalling rate in Mb/s.
private struct Rate {
    let code: UInt32
    let multiple: Int32
    let mbps: Int32
}

/// Every rate of verbs.h but IBV_RATE_MAX, which is 0. A switch, so that it is a constant in the
/// library's text rather than an array made at the first call.
private func rate(at index: Int) -> Rate? {
    switch index {
    case 0: Rate(code: 2, multiple: 1, mbps: 2_500)
    case 1: Rate(code: 5, multiple: 2, mbps: 5_000)
    case 2: Rate(code: 3, multiple: 4, mbps: 10_000)
    case 3: Rate(code: 6, multiple: 8, mbps: 20_000)
    case 4: Rate(code: 4, multiple: 12, mbps: 30_000)
    case 5: Rate(code: 7, multiple: 16, mbps: 40_000)
    case 6: Rate(code: 8, multiple: 24, mbps: 60_000)
    case 7: Rate(code: 9, multiple: 32, mbps: 80_000)
    case 8: Rate(code: 10, multiple: 48, mbps: 120_000)
    case 9: Rate(code: 11, multiple: -1, mbps: 14_062)
    case 10: Rate(code: 12, multiple: -1, mbps: 56_250)
    case 11: Rate(code: 13, multiple: -1, mbps: 112_500)
    case 12: Rate(code: 14, multiple: -1, mbps: 168_750)
    case 13: Rate(code: 15, multiple: -1, mbps: 25_781)
    case 14: Rate(code: 16, multiple: -1, mbps: 103_125)
    case 15: Rate(code: 17, multiple: -1, mbps: 206_250)
    case 16: Rate(code: 18, multiple: -1, mbps: 309_375)
    case 17: Rate(code: 19, multiple: 11, mbps: 28_125)
    case 18: Rate(code: 20, multiple: 20, mbps: 53_125)
    case 19: Rate(code: 21, multiple: 160, mbps: 425_000)
    case 20: Rate(code: 22, multiple: 240, mbps: 637_500)
    case 21: Rate(code: 23, multiple: 320, mbps: 850_000)
    case 22: Rate(code: 24, multiple: 480, mbps: 1_275_000)
    default: nil
    }
}

private func firstRate(where holds: (Rate) -> Bool) -> Rate? {
    var index = 0
    while let candidate = rate(at: index) {
        if holds(candidate) { return candidate }
        index += 1
    }
    return nil
}

@c(fermata_ibv_rate_to_mult)
public func rateToMultiple(_ code: UInt32) -> Int32 { firstRate { $0.code == code }?.multiple ?? -1 }

@c(fermata_mult_to_ibv_rate)
public func multipleToRate(_ multiple: Int32) -> UInt32 {
    multiple > 0 ? firstRate { $0.multiple == multiple }?.code ?? 0 : 0
}

@c(fermata_ibv_rate_to_mbps)
public func rateToMbps(_ code: UInt32) -> Int32 { firstRate { $0.code == code }?.mbps ?? -1 }

@c(fermata_mbps_to_ibv_rate)
public func mbpsToRate(_ mbps: Int32) -> UInt32 { firstRate { $0.mbps == mbps }?.code ?? 0 }
