// SPDX-License-Identifier: Apache-2.0

/// This Fermata's version, recorded in every image.
public let fermataVersion = "0.1.0"
