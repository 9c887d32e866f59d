import AgentKit

@main struct MarketFeed: SourceMain {
    typealias Feed = MarketSource
}
