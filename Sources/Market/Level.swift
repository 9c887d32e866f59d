/// One price level: all that rests at one price.
@frozen public struct Level: Hashable, Codable, Sendable, CustomStringConvertible {
    public let price: Price
    public let quantity: Quantity

    @inlinable public init(price: Price, quantity: Quantity) {
        self.price = price
        self.quantity = quantity
    }

    public var description: String { "\(quantity) @ \(price)" }
}
