import FoundationEssentials
import Wire

/// One text as a file has it, before it is given a time and an id.
struct TextRow: Equatable, Sendable {
    var text: String
    var id: String?
    var source: String?
    /// Nil: taken from the text's cashtags.
    var symbols: [String]?
    var publishedNs: Int64?
}

/// Why a row is no text.
struct TextRowFault: Error, Equatable, Sendable, CustomStringConvertible {
    let description: String
}

/// Which CSV column holds what.
struct TextColumns: Equatable, Sendable {
    var text = 0
    var id: Int?
    var source: Int?
    var symbols: Int?
    var published: Int?

    /// Names understood in a header row, whatever their case.
    private static let textNames = ["text", "headline", "title", "tweet", "body"]
    private static let idNames = ["id", "item_id", "tweet_id"]
    private static let sourceNames = ["source", "author", "publisher"]
    private static let symbolNames = ["symbols", "symbol", "ticker", "tickers"]
    private static let timeNames = ["published_time_ns", "published", "time", "timestamp", "date", "created_at"]

    /// A file without a header: the first column is the text.
    init() {}

    /// Nil unless the row is a header: it names the text's column.
    init?(header: [String]) {
        let header = header.map { $0.lowercased() }
        guard let text = header.firstIndex(where: Self.textNames.contains) else { return nil }
        self.text = text
        id = header.firstIndex(where: Self.idNames.contains)
        source = header.firstIndex(where: Self.sourceNames.contains)
        symbols = header.firstIndex(where: Self.symbolNames.contains)
        published = header.firstIndex(where: Self.timeNames.contains)
    }

    func row(_ fields: [String]) throws(TextRowFault) -> TextRow {
        func field(_ index: Int?) -> String? {
            guard let index, index < fields.count, !fields[index].isEmpty else { return nil }
            return fields[index]
        }
        guard let text = field(text) else { throw TextRowFault(description: "the text is missing") }
        var row = TextRow(text: text, id: field(id), source: field(source))
        row.symbols = field(symbols).map { list in
            list.split { ",; |".contains($0) }.map { $0.drop(while: { $0 == "$" }).uppercased() }.filter { !$0.isEmpty }
        }
        if let time = field(published) {
            guard let nanoseconds = PublishedTime.parse(time) else {
                throw TextRowFault(description: "'\(time.prefix(40))' is no time")
            }
            row.publishedNs = nanoseconds
        }
        return row
    }
}

/// A line of JSON: `text` (or `headline`, `title`), and if known `id`, `source`, `symbols`, `published_time_ns` or `time`.
struct TextLine: Decodable {
    private enum CodingKeys: String, CodingKey {
        case text, headline, title, id, source, symbols, time
        case itemID = "item_id"
        case publishedTimeNs = "published_time_ns"
    }

    let row: TextRow

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let text =
            try values.decodeIfPresent(String.self, forKey: .text)
            ?? values.decodeIfPresent(String.self, forKey: .headline)
            ?? values.decodeIfPresent(String.self, forKey: .title)
        guard let text, !text.isEmpty else { throw TextRowFault(description: "the text is missing") }
        var row = TextRow(text: text)
        row.id =
            try values.decodeIfPresent(String.self, forKey: .id) ?? values.decodeIfPresent(String.self, forKey: .itemID)
        row.source = try values.decodeIfPresent(String.self, forKey: .source)
        row.symbols = try values.decodeIfPresent([String].self, forKey: .symbols)?.map { $0.uppercased() }
        if let nanoseconds = try values.decodeIfPresent(Int64.self, forKey: .publishedTimeNs) {
            row.publishedNs = nanoseconds
        } else if values.contains(.time) {
            row.publishedNs = try Self.time(values)
        }
        self.row = row
    }

    private static func time(_ values: KeyedDecodingContainer<CodingKeys>) throws -> Int64 {
        let number = try? values.decode(Int64.self, forKey: .time)
        let text = number == nil ? try values.decode(String.self, forKey: .time) : ""
        guard let nanoseconds = number.map(PublishedTime.unixNs) ?? PublishedTime.parse(text) else {
            throw TextRowFault(description: "'time' is no time")
        }
        return nanoseconds
    }

    static func parse(_ bytes: [UInt8]) throws(TextRowFault) -> TextRow {
        do {
            return try JSONDecoder().decode(TextLine.self, from: Data(bytes)).row
        } catch let fault as TextRowFault {
            throw fault
        } catch DecodingError.dataCorrupted {
            throw TextRowFault(description: "the line is not JSON")
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw TextRowFault(
                description: path.isEmpty ? "the line is no JSON object" : "'\(path)' has the wrong type")
        } catch {
            throw TextRowFault(description: "the line is not understood")
        }
    }
}
