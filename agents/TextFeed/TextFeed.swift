import AgentKit

@main struct TextFeed: SourceMain {
    typealias Feed = TextSource
}
