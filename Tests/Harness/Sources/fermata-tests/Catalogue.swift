import HarnessKit

/// All tests there are. A new group is one more line here.
enum Catalogue {
    static func all(_ options: Options) -> [TestCase] {
        if options.plain {
            return JobTests.all(options) + InteractiveTests.all(options)
        }
        return ContractTests.all(options) + MisuseTests.all(options)
            + OrdinaryUserTests.all(options)
            + ConformanceTests.all(options)
            + JobTests.all(options)
            + VerbsTests.all(options) + VerbsPairs.all
            + InteractiveTests.all(options)
            + CoordinatorFaults.all(options)
            + CoordinatorInstants.all(options)
            + StoreFaults.all(options)
            + ImageDamage.all(options)
    }

    static func chosen(_ options: Options) throws -> [TestCase] {
        let pattern = try options.filter.map { try Regex($0) }
        return all(options).filter { test in
            let named = pattern.map { test.name.firstMatch(of: $0) != nil } ?? true
            let tagged = options.tags.isEmpty || !options.tags.isDisjoint(with: test.tags)
            return named && tagged
        }
    }
}
