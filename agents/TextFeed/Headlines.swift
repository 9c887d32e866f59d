/// Made-up headlines about the simulated instrument, for a first run without any file. They say of themselves that they
/// are made up, and their items are labelled as simulated.
enum Headlines {
    static let texts = [
        "Made up: $SIMUSD rallies as record inflows lift demand, analysts raise targets",
        "Made up: $SIMUSD slides after exchange reports weak volumes and heavy selling",
        "Made up: quiet session for $SIMUSD, traders wait for direction",
        "Made up: strong quarter for $SIMUSD, profits beat estimates",
        "Made up: $SIMUSD under pressure, regulator opens investigation",
        "Made up: large buyer rumoured in $SIMUSD, shares jump",
        "Made up: $SIMUSD misses expectations and cuts its outlook",
        "Made up: $SIMUSD unchanged ahead of the report",
        "Made up: upgrade for $SIMUSD on growing demand",
        "Made up: downgrade for $SIMUSD, losses widen",
        "Made up: $SIMUSD gains as risk appetite returns",
        "Made up: fear of further losses drags $SIMUSD down",
        "Made up: good news for holders of $SIMUSD, dividend raised",
        "Made up: outage at venue worries $SIMUSD traders",
        "Made up: nothing new on $SIMUSD",
        "Made up: $SIMUSD breaks out to a new high on strong buying",
    ]
}
