/// The processes of a storm: the shipped agents of the order path, fed by an alpha that proposes as fast as it may.
enum StormFleet {
    /// Durable agents on the way of an order, causes before effects.
    static let path = ["StormAlpha", "VolatilityNexus", "RiskSentinel", "LiquidityFlow", "PaperVenue", "Guardian.ai"]
    static let shipped = ["MarketFeed"] + path.dropFirst()
    static let supervisor = "supervisor"
    static let launcher = "agent-launcher"
    static let victims = path + ["MarketFeed", supervisor, launcher]

    static let alpha = """
        { "executable": "storm-alpha", "role": "alpha", "readiness": "notify", "watchdogSeconds": 2,
          "inputs": {
            "quotes": { "type": "Quote", "delivery": "stream", "from": "MarketFeed.quotes" },
            "decisions": { "type": "RiskDecision", "delivery": "durable", "from": "RiskSentinel.decisions" },
            "reports": { "type": "ExecutionReport", "delivery": "durable", "from": "PaperVenue.reports" } },
          "outputs": { "proposals": { "type": "Proposal", "delivery": "durable" } },
          "limits": { "memory": "256M" } }
        """

    /// Restarts without an end. Limits of risk so wide, approvals good for so long and orders so small that all of them can
    /// be executed however long a part of the path is away: then the executed set has to be the approved set.
    static func configuration(proposals: Int) -> String {
        """
        { "defaults": { "restart": { "maxMs": 50, "intensity": { "restarts": 100000, "windowSeconds": 60 } } },
          "agents": {
            "StormAlpha": { "settings": { "count": \(proposals), "window": 128, "perSecond": 1000 } },
            "MarketFeed": { "settings": { "events": 1000000000, "pace": "1x", "seed": 7, "activity": 40 } },
            "VolatilityNexus": { "settings": { "equity": "1000000000", "maximumNotional": "2.5" } },
            "LiquidityFlow": { "settings": { "maxRejections": 256, "maxOrdersPerApproval": 256 } },
            "Guardian.ai": { "settings": { "initialEquity": "1000000000", "maxDailyLoss": "500000000" } },
            "RiskSentinel": { "settings": {
                "maxOrders": 10000, "duplicateWindowMs": 0, "maxValidMs": 15000, "collarBps": "500",
                "maxReferenceAgeMs": 60000,
                "maxOrderNotional": "1000000", "maxGrossExposure": "100000000",
                "symbolLimits": ["SIMUSD order=100000 position=10000000"] } } },
          "pipelines": { "main": { "wires": { "VolatilityNexus.proposals": "StormAlpha.proposals" } } } }
        """
    }
}
