/* The protocol of durable wires (Sources/Delivery), exhaustively within small bounds: NP senders, one receiver, M messages
 * each, crashes, zombies, lossy connections and, with -DPOWER, one power loss that takes unsynced records.
 *
 * Model                          Code
 * ------------------------------ ------------------------------------------------------------------------------------
 * s_last, s_by, s_acked          the sender's journal: `sentFrame` records, who numbered them, lazily written positions
 * r_applied, r_by, r_sender      the receiver's journal: `input` records, the DurableReceiver.State written after a Hello
 * s_claim, r_claim               the epoch word of a journal's directory (JournalWriter); LOOK is its one load
 * Sender: last, journaled        DurableSender.append, didJournal(upTo:)
 * Sender: acked, kept, cursor    Link.state.acked, firstKept, Link.cursor; open, owes, rep, knows likewise
 * FIRST_AFTER                    Lineage.first(after:): s_by says which incarnation numbered what
 * report handling                DurableSender.receive(_:position:_:), case by case in the same order
 * Receiver: acc, app, snd        accepted, applied, senderEpoch; asked, owe = hasAsked, owes
 * take / greet                   DurableReceiver.receive(epoch:sequence:), receive(_ hello:)
 * timer                          tick(at:): here at any moment (SPURIOUS, for safety) or only when nothing else can
 *                                happen (for progress)
 * fwd[2p], fwd[2p+1]             connections of odd and even incarnations of sender p: each in order, not both together
 * zombie                         an old process that was not killed when its successor began: it goes on at any moment
 *
 * Left out: floors of consumers that join later, several consumers of one output, ack batching (the simulator in
 * Tests/DeliveryTests has them). The window is W; a full connection refuses, and what was owed stays owed.
 */
#ifndef NP
#define NP 1
#endif
#ifndef M
#define M 3
#endif
#ifndef W
#define W 2
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef SENDER_CRASHES
#define SENDER_CRASHES 1
#endif
#ifndef RECEIVER_CRASHES
#define RECEIVER_CRASHES 1
#endif

mtype = { HELLO, DATA, ACK, POSITION, RESEND };

/* kind, epoch, then HELLO: kept, knows, begins, sent; DATA: sequence, who numbered it. */
chan fwd[2 * NP] = [SLOTS] of { mtype, byte, byte, byte, byte, byte };
/* kind, receiver's epoch, sender's epoch, applied */
chan back[NP] = [SLOTS] of { mtype, byte, byte, byte };

/* The journals: what outlives processes. */
byte s_claim[NP]; byte s_last[NP]; byte s_acked[NP]; byte s_by[NP * (M + 2)];
byte r_claim; byte r_applied[NP]; byte r_sender[NP]; byte r_by[NP * (M + 2)];

byte s_killed[NP];  /* incarnations up to this are dead */
byte r_killed;
byte s_crashes = SENDER_CRASHES, r_crashes = RECEIVER_CRASHES;
byte cur_acked[NP]; /* what the newest sender knows to be acknowledged */
bool finished;      /* no more faults, and all has arrived */
bool refused;       /* an end failed closed after a power loss */
#ifdef POWER
bool lost;
#else
#define lost false
#endif

#define DONE(p) (r_applied[p] == M && cur_acked[p] == M)
#if NP == 1
#define ALL_DONE (refused || DONE(0))
#else
#define ALL_DONE (refused || (DONE(0) && DONE(1)))
#endif

/* First sequence that was numbered by an incarnation after e, M+1 at most. */
inline first_after(p, e, upto, result) {
    result = 1;
    do
    :: result <= upto && s_by[p * (M + 2) + result] <= e -> result++
    :: else -> break
    od
}

/* Nothing was lost by a power loss: an end that must stop is a defect. */
inline fail_closed() { assert(lost); refused = true }

#if defined(BUG_NO_CLAIM) || defined(BUG_NO_FENCE)
#define LOOK(claim) skip
#else
#define LOOK(claim) if :: claim != me -> goto gone :: else fi
#endif

/* The record of the input is its effect and its number. */
inline write_input() {
    if
    :: r_claim == me ->
        assert(a == r_applied[p] + 1);              /* prefix order, effect at most once */
        assert(lost || b == s_by[p * (M + 2) + a]); /* what took effect is what the sender's journal has */
        r_applied[p] = a; r_by[p * (M + 2) + a] = b;
        r_sender[p] = (e > r_sender[p] -> e : r_sender[p])
    :: else
    fi
}
#ifdef BUG_ACK_BEFORE_WRITE
#define WRITE skip
#else
#define WRITE write_input()
#endif

/* The receiver says where it stands. */
inline say(q) {
#ifdef BUG_NEVER_ASKS_AGAIN
    owe[q] = (owe[q] == 3 -> 2 : owe[q]);
#endif
    assert(lost || app[q] <= r_applied[q]); /* an acknowledgement means durable */
    if
    :: owe[q] == 1 -> back[q]!ACK, me, snd[q], app[q]
    :: owe[q] == 2 -> back[q]!POSITION, me, snd[q], app[q]
    :: owe[q] == 3 -> back[q]!RESEND, me, snd[q], app[q]
    fi;
    owe[q] = 0
}

inline drain(c) {
    do
    :: nempty(c) -> c?_, _, _, _, _, _
    :: empty(c) -> break
    od
}

inline drain_back(c) {
    do
    :: nempty(c) -> c?_, _, _, _
    :: empty(c) -> break
    od
}

proctype Sender(byte p; byte me) {
    byte last, journaled, acked, kept, cursor, rep, knows, a, s, r, known, pick;
    bool open, owes = true;
    mtype kind;
    {
        atomic {
            if
            :: s_claim[p] > me -> goto gone
            :: else
            fi;
            s_claim[p] = me;
#ifdef BUG_REUSE_NUMBERS
            last = s_acked[p];
#else
            last = s_last[p];
#endif
            journaled = last; acked = s_acked[p]; kept = acked + 1; cursor = kept; knows = me - 1;
            cur_acked[p] = acked
        }
        do
#ifdef BUG_SEND_BEFORE_WRITE
        :: atomic { last < M && last == s_last[p] && last - acked < W -> last++; journaled = last }
        :: atomic { last > s_last[p] && s_claim[p] == me -> s_last[p] = last; s_by[p * (M + 2) + last] = me }
#else
        :: atomic { last < M && last == journaled && last - acked < W ->
               last++;
               if
               :: s_claim[p] == me ->
                   s_last[p] = last; s_by[p * (M + 2) + last] = me
               :: else /* into a segment that nobody reads any more */
               fi
           }
           atomic { LOOK(s_claim[p]); journaled = last }
#endif
        :: atomic { owes && nfull(fwd[2 * p + me % 2]) ->
#ifdef BUG_OWN_BEGINNING_ONLY
               first_after(p, me - 1, journaled, a);
#else
               first_after(p, knows, journaled, a);
#endif
               fwd[2 * p + me % 2]!HELLO, me, kept, knows, a, cursor - 1;
               owes = false; a = 0
           }
        :: atomic { open && cursor <= journaled && nfull(fwd[2 * p + me % 2]) ->
               assert(cursor >= kept); /* what is to be sent is still there */
               /* The frame is in memory: with another's record under that number only if this one is a zombie. */
#if defined(BUG_NO_CLAIM) || defined(BUG_NO_FENCE) || defined(BUG_SEND_BEFORE_WRITE)
               if
               :: s_by[p * (M + 2) + cursor] == 0 || s_by[p * (M + 2) + cursor] > me -> pick = me
               :: else -> pick = s_by[p * (M + 2) + cursor]
               fi;
#else
               pick = s_by[p * (M + 2) + cursor];
               assert(pick != 0 && pick <= me);
#endif
               fwd[2 * p + me % 2]!DATA, me, cursor, pick, 0, 0;
               cursor++; pick = 0
#ifdef BUG_TRIM_BEFORE_ACK
               ; kept = cursor
#endif
           }
        :: atomic { back[p]?kind, r, s, a ->
               if
#ifndef BUG_NO_FENCE
#ifndef NO_WIRE_FENCE
               :: r < rep -> skip
#endif
               :: s > me -> goto gone /* replaced */
#endif
               :: else ->
                   first_after(p, s, journaled, known); known--;
#ifdef BUG_OWN_BEGINNING_ONLY
                   if
                   :: s < me -> first_after(p, me - 1, journaled, known); known--
                   :: else -> known = journaled
                   fi;
#endif
                   if
                   :: a > known ->
                       if
                       :: s_claim[p] != me -> goto gone /* knows too little to judge */
                       :: else -> fail_closed(); goto gone
                       fi
                   :: a <= known && r <= rep && a < acked -> skip /* stale */
                   :: else ->
                       if
                       :: r > rep ->
                           rep = r;
                           if
                           :: kind != ACK -> open = false
                           :: else
                           fi
                       :: else
                       fi;
                       knows = s;
                       if
                       :: a + 1 < kept -> open = false; owes = true
                       :: else ->
                           acked = a;
                           if
                           :: acked + 1 > kept -> kept = acked + 1
                           :: else
                           fi;
                           if
                           :: cursor <= acked -> cursor = acked + 1
                           :: else
                           fi;
                           if
                           :: s_claim[p] == me ->
                               assert(lost || kept - 1 <= r_applied[p]); /* trim <= acked <= durable */
                               cur_acked[p] = acked;
                               if
                               :: s_acked[p] = acked
                               :: skip /* written lazily */
                               fi
                           :: else
                           fi;
                           if
                           :: kind == ACK
                           :: kind != ACK && s < me -> open = false; owes = true
                           :: kind != ACK && s >= me && (kind == RESEND || !open) ->
                               open = true; cursor = acked + 1
                           :: else
                           fi
                       fi
                   fi
               fi;
               a = 0; s = 0; r = 0; known = 0; kind = 0
           }
#ifndef BUG_NEVER_ASKS_AGAIN
#ifdef SPURIOUS
        :: atomic { !owes && acked < journaled && empty(fwd[2 * p + me % 2]) -> owes = true }
#else
        :: atomic { timeout && !owes && acked < journaled -> owes = true }
#endif
#endif
        :: s_claim[p] != me -> break
        :: finished -> break
        od;
gone:   skip
    } unless { s_killed[p] >= me }
}

proctype Receiver(byte me) {
    byte acc[NP], app[NP], snd[NP], owe[NP], i, p, e, a, b, c, d;
    bool asked[NP];
    mtype kind;
    {
        atomic {
            if
            :: r_claim > me -> goto gone
            :: else
            fi;
            r_claim = me;
            for (i : 0 .. NP - 1) {
                acc[i] = r_applied[i]; app[i] = acc[i]; snd[i] = r_sender[i]; owe[i] = 3; asked[i] = true
            }
            i = 0
        }
        do
        :: atomic {
               if
               :: fwd[0]?kind, e, a, b, c, d -> p = 0
               :: fwd[1]?kind, e, a, b, c, d -> p = 0
#if NP == 2
               :: fwd[2]?kind, e, a, b, c, d -> p = 1
               :: fwd[3]?kind, e, a, b, c, d -> p = 1
#endif
               fi;
               if
               :: kind == HELLO -> goto greet
               :: else -> goto message
               fi
           }
message:   atomic {
               if
#if !defined(BUG_NO_FENCE) && !defined(NO_WIRE_FENCE)
               :: e < snd[p] -> goto next /* fenced */
#endif
               :: e > snd[p] -> goto ask /* has said no Hello */
               :: else ->
                   if
                   :: a == acc[p] + 1 -> acc[p] = a; asked[p] = false; WRITE
                   :: a <= acc[p] ->
                       if
                       :: owe[p] == 0 -> owe[p] = 1
                       :: else
                       fi;
#ifdef BUG_NO_DEDUPE
                       WRITE
#else
                       goto next
#endif
                   :: else ->
#ifdef BUG_TAKE_BEYOND_GAP
                       acc[p] = a; WRITE
#else
                       goto ask
#endif
                   fi
               fi
           }
#ifdef BUG_ACK_BEFORE_WRITE
           atomic {
               app[p] = a;
               if
               :: nfull(back[p]) -> assert(lost || app[p] <= r_applied[p]); back[p]!ACK, me, snd[p], app[p]
               :: else
               fi
           }
           write_input()
#endif
           atomic {
               LOOK(r_claim);
               app[p] = (a > app[p] -> a : app[p]);
               owe[p] = (owe[p] == 0 -> 1 : owe[p]);
               goto next
           }
ask:       atomic {
               if
               :: !asked[p] -> asked[p] = true; owe[p] = 3
               :: else
               fi;
               goto next
           }
greet:     atomic { /* a = kept, b = knows, c = begins, d = sent */
               if
#if !defined(BUG_NO_FENCE) && !defined(NO_WIRE_FENCE)
               :: e < snd[p] -> goto next
#endif
               :: e > snd[p] && b != snd[p] -> owe[p] = 2; goto next
               :: e > snd[p] && b == snd[p] && acc[p] >= c ->
                   if
                   :: r_claim != me -> goto gone
                   :: else -> fail_closed(); goto gone
                   fi
               :: else ->
                   if
                   :: acc[p] + 1 < a ->
                       if
                       :: r_claim != me -> goto gone
                       :: else -> fail_closed(); goto gone
                       fi
                   :: else
                   fi
               fi;
               if
               :: r_claim == me && e > r_sender[p] -> r_sender[p] = e
               :: else
               fi
           }
           atomic {
               snd[p] = (e > snd[p] -> e : snd[p]);
               asked[p] = (acc[p] < d);
               owe[p] = (acc[p] < d -> 3 : 2)
           }
next:      atomic { e = 0; a = 0; b = 0; c = 0; d = 0; p = 0; kind = 0 }
        :: atomic { owe[0] > 0 && nfull(back[0]) -> say(0) }
#if NP == 2
        :: atomic { owe[1] > 0 && nfull(back[1]) -> say(1) }
#endif
        :: r_claim != me -> break
        :: finished -> break
        od;
gone:   skip
    } unless { r_killed >= me }
}

/* Whoever is killed takes along what is on its way to it, and perhaps what is on its way from it. */
proctype Supervisor() {
    byte s_epoch[NP], r_epoch, i, q;
    atomic {
        for (i : 0 .. NP - 1) { s_epoch[i] = 1; run Sender(i, 1) }
        r_epoch = 1; run Receiver(1); i = 0
    }
    do
    :: atomic { s_crashes > 0 ->
           s_crashes--;
#if NP == 2
           if
           :: q = 0
           :: q = 1
           fi;
#endif
           if
           :: s_killed[q] = s_epoch[q]; drain_back(back[q])
#ifdef ZOMBIES
           :: skip /* left behind as a zombie */
#endif
           fi;
           if
           :: drain(fwd[2 * q + s_epoch[q] % 2])
           :: skip
           fi;
           s_epoch[q]++;
           run Sender(q, s_epoch[q])
       }
    :: atomic { r_crashes > 0 ->
           r_crashes--;
           if
           :: r_killed = r_epoch;
              for (i : 0 .. NP - 1) { drain(fwd[2 * i]); drain(fwd[2 * i + 1]) }
#ifdef ZOMBIES
           :: skip
#endif
           fi;
           i = 0; r_epoch++;
           run Receiver(r_epoch)
       }
#ifdef POWER
    :: atomic { !lost ->
           lost = true; cur_acked[0] = 0;
           s_killed[0] = s_epoch[0]; r_killed = r_epoch;
           drain(fwd[0]); drain(fwd[1]); drain_back(back[0]);
           do
           :: s_last[0] > 0 -> s_by[s_last[0]] = 0; s_last[0]--
           :: break
           od;
           s_acked[0] = (s_acked[0] > s_last[0] -> s_last[0] : s_acked[0]);
           do
           :: r_applied[0] > 0 -> r_by[r_applied[0]] = 0; r_applied[0]--
           :: break
           od;
           s_epoch[0]++; r_epoch++;
           run Sender(0, s_epoch[0]); run Receiver(r_epoch)
       }
#endif
    :: break
    od;
    /* No loss: whatever happened, all takes effect, as the sender's journal has it; or an end has failed closed. */
    atomic { ALL_DONE -> finished = true;
        if
        :: !refused ->
            for (q : 0 .. NP - 1) {
                for (i : 1 .. M) { assert(r_by[q * (M + 2) + i] == s_by[q * (M + 2) + i]) }
            }
        :: else
        fi
    }
}

init { run Supervisor() }
