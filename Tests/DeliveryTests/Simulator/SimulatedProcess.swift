import Delivery
import Wire

enum Parcel {
    case letter(epoch: UInt64, Letter)
    case control(DeliveryControl)
}

/// One connection. In order; whatever is in it dies with the receiving process, and partly with the sending one.
final class SimulatedPipe {
    let edge: Int
    /// Messages and Hellos, or what comes back.
    let isForward: Bool
    let target: SimulatedProcess
    var parcels: [(at: Int64, parcel: Parcel)] = []
    private var head = 0
    var isBroken = false

    init(edge: Int, isForward: Bool, target: SimulatedProcess) {
        self.edge = edge
        self.isForward = isForward
        self.target = target
    }

    var count: Int { parcels.count - head }
    var nextAt: Int64? { head < parcels.count ? parcels[head].at : nil }

    var front: Parcel { parcels[head].parcel }

    func pop() -> Parcel {
        defer {
            head += 1
            if head == parcels.count {
                parcels.removeAll(keepingCapacity: true)
                head = 0
            }
        }
        return parcels[head].parcel
    }

    func lose(keeping count: Int) {
        parcels.removeLast(self.count - min(self.count, count))
    }
}

/// One incarnation of one agent: its protocol machines, and what it is in the middle of.
final class SimulatedProcess {
    enum Life { case running, stopped, dead }

    /// One step. A process can be killed or stopped before each of them.
    enum Step {
        case claim
        case append(Record)
        /// At the claim, before anything that others can see.
        case look
        case sync
        case begin
        case handle(Record)
        case applied(edge: Int, UInt64)
        /// All that was numbered may be sent.
        case journaled
        case number(output: Int, content: UInt64, reach: Int)
        case flush
        case pushHello(output: Int, consumer: Int)
        case pushNext(output: Int, consumer: Int)
        case pushControl(edge: Int, isIdle: Bool)
        case prepareSnapshot
    }

    let node: Int
    let epoch: UInt64
    let wired: [Bool]
    var life = Life.running
    var nextAt: Int64
    /// Last is next.
    var steps: [Step] = [.claim]
    var hasBegun = false

    var agent = SimulatedAgent()
    var senders: [DurableSender] = []
    var kept: [Retained<Letter>] = []
    /// By edge.
    var receivers: [Int: DurableReceiver] = [:]
    /// States of sources that are no longer wired.
    var unwired: [Int: DurableReceiver.State] = [:]
    /// Edges of each output, in the order of the sender's consumers.
    var consumers: [[Int]] = []
    /// By edge.
    var outgoing: [Int: SimulatedPipe] = [:]
    var acks: [Int: SimulatedPipe] = [:]
    var incoming: [SimulatedPipe] = []
    /// What an unfenced zombie wrote into a segment that nobody reads any more.
    var astray: [Record] = []

    init(node: Int, epoch: UInt64, wired: [Bool], at now: Int64) {
        self.node = node
        self.epoch = epoch
        self.wired = wired
        nextAt = now
    }

    /// The steps come before everything else, in this order.
    func plan(_ more: [Step]) {
        steps.append(contentsOf: more.reversed())
    }
}
