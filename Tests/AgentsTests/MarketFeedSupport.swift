import Foundation
import Market
import Recording
import Testing
import Wire

@testable import MarketFeed

/// The recordings beside the project; tests that need them are skipped where they are absent.
enum SharedData {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("../shared/data").standardizedFileURL.path
    static let exists = FileManager.default.fileExists(atPath: folder)
    static let binance = folder + "/l2/binance_usdm_btcusdt_20240808.gz"
    static let lobster = folder + "/lobster/AMZN_2012-06-21_34200000_57600000_message_1.csv"
    static let tweets = folder + "/sentiment/twitter_financial_news_sent_train.csv"
}

/// A folder that goes away with the test.
struct FeedFolder: ~Copyable {
    let path = "/tmp/qp-\(UUID().uuidString.prefix(8))"

    init() { try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) -> String { write(name, Data(text.utf8)) }

    func write(_ name: String, _ data: Data) -> String {
        precondition(FileManager.default.createFile(atPath: "\(path)/\(name)", contents: data))
        return "\(path)/\(name)"
    }
}

extension MarketItems {
    /// Everything there is, and the notes.
    mutating func readAll() -> (messages: [Payload], notes: [String]) {
        var (messages, notes): ([Payload], [String]) = ([], [])
        while let item = next() {
            messages += item.messages
            notes += item.notes.map(\.text)
        }
        return (messages, notes)
    }
}

/// A reader of the book port: applies what comes and counts how it went.
struct BookReader {
    var book: OrderBook
    var outcomes: [String: Int] = [:]

    init(_ symbol: String, _ venue: String) { book = OrderBook(symbol: symbol, venue: venue) }

    mutating func take(_ update: BookUpdate) {
        let name = "\(book.apply(update))".prefix { $0 != "(" }
        outcomes[String(name), default: 0] += 1
    }
}
