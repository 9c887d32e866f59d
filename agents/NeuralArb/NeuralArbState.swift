import Market
import Wire

extension NeuralArb {
    /// What signals, quotes, decisions and reports have made of it.
    struct State: Codable, Sendable {
        var books: [SymbolBook] = []
        var places: [String: Int] = [:]
        var marketWideBoard: SignalBoard
        var openProposals = OpenProposals()
        var executions = RecentIDs(capacity: NeuralArb.maxExecutions)
        /// The incarnation that began this state; with the count it makes ids that are unique for ever.
        let incarnation: UInt64
        var proposed: UInt64 = 0
        var saidFee = false
        /// Of the model that the boards belong to.
        private var signalNames: [String]
        private var modelKey: UInt64

        init(model: EdgeModel, incarnation: UInt64) {
            marketWideBoard = model.emptyBoard
            self.incarnation = incarnation
            signalNames = model.names
            modelKey = model.key
        }

        /// Settings may have changed since the state was written: what is known of a signal goes with its name.
        mutating func moveOver(to model: EdgeModel) {
            guard modelKey != model.key else { return }
            var placeByPlace: [Int: Int] = [:]
            for (old, name) in signalNames.enumerated() { placeByPlace[old] = model.place(of: name) }
            marketWideBoard = marketWideBoard.moved(placeByPlace, to: model.priors)
            for index in books.indices {
                books[index].board = books[index].board.moved(placeByPlace, to: model.priors)
                books[index].ahead.move(placeByPlace)
            }
            signalNames = model.names
            modelKey = model.key
        }
    }
}
