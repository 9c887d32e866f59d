import Market
import Wire

extension OrderContext {
    /// The account as the checks saw it, for whoever asks later why they decided so. Sums do not depend on the order of
    /// the symbols.
    var accountView: AccountView {
        var view = AccountView()
        view.positionE8 = account.position(symbol).e8
        view.pendingBuyE8 = account.pending(symbol, .buy).e8
        view.pendingSellE8 = account.pending(symbol, .sell).e8
        view.openApprovals = UInt32(clamping: account.reservations.open.count)
        view.tradingState = control.state
        view.throttle = control.factor(proposal.strategy).double
        var sums = AccountSums()
        for (symbol, book) in account.books { sums.add(book, mark: marks[symbol]) }
        view.grossExposureE8 = sums.fitting(\.gross)
        view.netExposureE8 = sums.fitting(\.net)
        view.realisedPnlE8 = sums.fitting(\.realised)
        view.unrealisedPnlE8 = sums.fitting(\.unrealised)
        view.feesE8 = sums.fitting(\.fees)
        view.fills = sums.fills
        view.incomplete = sums.isIncomplete || account.isMoneyIncomplete
        return view
    }
}

/// Sums over positions, in 128 bits: no order of adding overflows on the way.
private struct AccountSums {
    var gross: Int128 = 0
    var net: Int128 = 0
    var realised: Int128 = 0
    var unrealised: Int128 = 0
    var fees: Int128 = 0
    var fills: UInt64 = 0
    /// Something is left out.
    var isIncomplete = false

    mutating func add(_ position: Position, mark: Price?) {
        realised += Int128(position.realised.e8)
        fees += Int128(position.fees.e8)
        fills &+= position.fills
        guard !position.quantity.isZero else { return }
        guard let mark, let value = try? position.value(at: mark) else {
            isIncomplete = true
            return
        }
        gross += Int128(value.e8.magnitude)
        net += Int128(value.e8)
        unrealised += Int128(value.e8) - Int128(position.openCost.e8)
    }

    /// One of the sums; 0, and noted as left out, when it does not fit into the wire's 64 bits.
    mutating func fitting(_ sum: KeyPath<AccountSums, Int128>) -> Int64 {
        guard let e8 = Int64(exactly: self[keyPath: sum]) else {
            isIncomplete = true
            return 0
        }
        return e8
    }
}
