// SPDX-License-Identifier: Apache-2.0
import CommandLine
import ProcessSnapshot

// First of all: what this process was started with, before anything opens a descriptor.
Fermata.start(inherited: InheritedDescriptors.atStart())
