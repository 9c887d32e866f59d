/// Defects put into the simulated shell or between it and the protocol, to prove that the simulator would find them.
enum Defect: String, CaseIterable {
    /// The acknowledgement goes before the input is in the journal.
    case acksBeforeWriting
    /// `power`: the acknowledgement goes before the input is on the disk.
    case acksBeforeSyncing
    /// A message is sent before it is in the journal.
    case sendsBeforeWriting
    /// `power`: a message is sent before it is on the disk.
    case sendsBeforeSyncing
    /// What was handed to the socket is not kept.
    case trimsWhatWasSent
    /// What the fastest consumer has is not kept for the others.
    case trimsForTheFastest
    /// A replaced process doesn't look whether it was replaced.
    case ignoresTheClaim
    /// Nobody looks at epochs on the wire.
    case fencesNothingOnTheWire
    case takesDuplicates
    case takesBeyondGaps
    /// A position beyond what the sender's journal has is taken as if all were well.
    case forgivesLostRecords
    /// A resend is asked for, but not done.
    case ignoresPositions
    case neverSaysHelloAgain
    /// Waits for consumers that answer it.
    case waitsForFeedback
    /// Begins new work however far behind a consumer is that answers it.
    case keepsWithoutEnd
    /// Reads no acknowledgements while it is full.
    case deafWhenFull
    /// A successor numbers from what was acknowledged, not from what was journaled.
    case reusesNumbers
    /// Doesn't write down where a new consumer begins.
    case forgetsTheFloor
    /// The outputs of the last journaled input are not made again.
    case forgetsTheLastAnswer
}
