/// One entry of the registry.
package struct TestCase: Sendable {
    /// Dotted, group first: `jobs.sqlite.instant-2`.
    package let name: String
    package let tags: [String]
    package let body: @Sendable (TestContext) throws -> Void

    package init(
        _ name: String, tags: [String] = [],
        _ body: @escaping @Sendable (TestContext) throws -> Void
    ) {
        self.name = name
        self.tags = tags
        self.body = body
    }
}
