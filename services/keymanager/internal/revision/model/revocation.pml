/*
 * The revocation protocol, small enough to visit every state. README.md says what is modelled, what is left out and why.
 *
 * The promise: when a rotation has been answered, no request that arrives afterwards is accepted with the old secret.
 *
 * Every step is one d_step, so it is atomic, and any steps of others, ticks of the clock among them, may come between two
 * steps. That alone gives slow and lost messages, cut links and paused processes: a verifier stopped by SIGSTOP is one that
 * takes no step while the clock ticks. A line of output per step makes the trail of a counterexample readable.
 */

/* Sizes. */
#ifndef REVISIONS
#define REVISIONS 1 /* changes of authority; a secret can be retired this often */
#endif
#ifndef VERIFIERS
#define VERIFIERS 1 /* 1 or 2 */
#endif
#ifndef RENEWALS
#define RENEWALS 1 /* of one verifier, under way at once: 2 when it gives one up that goes on all the same */
#endif
#ifndef REQUESTS
#define REQUESTS 1 /* 0: nobody asks, which leaves leases and barriers */
#endif
#ifndef OTHERS
#define OTHERS 1 /* 0: every revision touches the key */
#endif
#ifndef AGES
#define AGES 1 /* 0: revisions have no age, and refusing a laggard is left to chance, as refused and lost look the same */
#endif

/* Times, in ticks of the authority's clock. */
#ifndef TTL
#define TTL 4
#endif
#define QUARTER (TTL / 4)
#define BOUND (TTL + QUARTER) /* no lease row holds a barrier for longer */
#define DRIFT 1               /* what the slowest verifier's clock loses in one lease */
#ifdef NO_MARGIN
#define MARGIN 0
#else
#define MARGIN DRIFT
#endif
#define TRUST (TTL - MARGIN + DRIFT) /* TTL - MARGIN on that slowest clock, seen by the authority */

/* ---- State ------------------------------------------------------------------------------------------------------------ */

/* The authority. Secret s of the one key is current until the revision retired[s] (0: not retired yet). */
byte newest;                 /* the last revision committed */
byte looked;                 /* STALE_LOOK: the last revision that a look at the leases would let pass */
byte answered;               /* the last revision whose barrier is over and whose caller has the answer */
byte current;                /* the secret that opens the key */
byte retired[REVISIONS];
bool touches[REVISIONS + 1]; /* whether the revision touched the key, or something else */
byte age[REVISIONS + 1];     /* ticks since its commit, counted up to BOUND + 1 */
byte young;                  /* ticks until the lease table is one TTL old */

typedef Lease { /* a row; lapsed and absent are the same thing */
	byte left;     /* ticks until lease_expires_at */
	byte acked;
	byte catch_up  /* the newest revision when the lease was granted to a verifier that had none */
};
Lease lease[VERIFIERS];

mtype = { none, asked, begun, stored, granted, sent, answering };

typedef Renewal {
	mtype state;
	byte trust;    /* ticks until the lease it brings is over on the verifier's clock */
	byte left;     /* ticks until the lease_expires_at that the authority has worked out, but not stored yet */
	bool rejoins;  /* CATCH_UP_ONCE: it found the lease lapsed */
	byte catch_up
};

typedef Question {
	mtype state;
	byte secret;
	bool late;     /* ghost: a request in it arrived after the retirement of its secret had been answered */
	byte as_of;
	bool accepted
};

typedef Verifier {
	byte applied;  /* the last revision applied */
	byte touched;  /* the last one applied that touched the key */
	byte trust;    /* ticks until the lease is over on its own clock */
	byte catch_up; /* the cache is trusted from this revision on */
	bool cached[REVISIONS]; /* secrets it would accept from memory */
	Question gathering;
	Question wire;
	Renewal renewal[RENEWALS];
	bool flag      /* TIMER_FLAG: what the timer has not taken away yet */
};
Verifier verifier[VERIFIERS];

#define V verifier[v]
#define L lease[v]
#define N verifier[v].renewal[n]
byte i, j; /* loops inside one step, 0 between the steps */

/* ---- The rules, and what each looks like when it is broken -------------------------------------------------------------- */

#define held_by(v, r) (lease[v].left > 0 && lease[v].acked < (r))
#if VERIFIERS == 1
#define held(r) held_by(0, r)
#else
#define held(r) (held_by(0, r) || held_by(1, r))
#endif

/* Barrier: a change is answered when no live lease row lacks it, and the lease table is old enough to know. */
#if defined(NO_BARRIER)
#define passes(r) true
#elif defined(TRUST_YOUNG_TABLE)
#define passes(r) (!held(r))
#else
#define passes(r) (young == 0 && !held(r))
#endif

/* Lease: every hit reads the clock. */
#ifdef TIMER_FLAG
#define leased V.flag
#else
#define leased (V.trust > 0)
#endif

/* Lease: it runs from the moment its renewal was sent. */
#ifdef TRUST_FROM_REPLY
#define granted_trust TRUST
#else
#define granted_trust N.trust
#endif

/* Lease: no grant for a verifier that has not applied every revision older than a quarter of the TTL. */
#if defined(NEVER_REFUSE_LAGGARD) || AGES == 0
#define lags false
#else
#define lags (V.applied < newest && age[V.applied + 1] > QUARTER)
#endif

/* Watch: acknowledge what has been applied. */
#ifdef ACK_ON_RECEIPT
#define acknowledges (V.applied < newest -> V.applied + 1 : V.applied)
#else
#define acknowledges V.applied
#endif

/* Fill: not with a snapshot older than what has been applied to the key. */
#ifdef NO_FILL_CHECK
#define may_fill true
#else
#define may_fill (V.wire.as_of >= V.touched)
#endif

/* Joining: join a question only before it is sent. */
#ifdef JOIN_ON_WIRE
#define may_join_wire true
#else
#define may_join_wire false
#endif

/* Lease: the row is stored before the reply, and no renewal that was overtaken shortens it. One that finds no lease reads the
   newest revision while nobody can commit another (the lock of revisions), so one step does both. */
inline store_row()
{
#ifdef CATCH_UP_ONCE
	N.rejoins = (L.left == 0);
#endif
#ifdef CATCH_UP_READ_EARLY
	L.catch_up = (L.left == 0 -> N.catch_up : L.catch_up);
#else
	L.catch_up = (L.left == 0 -> newest : L.catch_up);
#endif
#ifdef EXPIRY_BACKWARDS
	L.left = N.left;
#else
	L.left = (N.left > L.left -> N.left : L.left);
#endif
	L.acked = (L.left > 0 -> acknowledges : 0);
	N.left = 0
}

/* Rejoin: every grant carries what the row says to catch up to. */
inline reply()
{
#if defined(NO_CATCH_UP)
	skip
#elif defined(CATCH_UP_ONCE)
	N.catch_up = (N.rejoins -> L.catch_up : 0)
#else
	N.catch_up = L.catch_up
#endif
}

inline read_early() { N.catch_up = newest }

#ifdef CATCH_UP_READ_EARLY
#define first_half read_early
#define second_half store_row
#else
#define first_half store_row
#define second_half reply
#endif

/* ---- The promise -------------------------------------------------------------------------------------------------------- */

#define late(s) (retired[s] != 0 && retired[s] <= answered)

inline verdict(yes, too_late)
{
	assert(!(yes && too_late))
}

/* ---- The clock and the authority ---------------------------------------------------------------------------------------- */

#define down(ticks) ticks = (ticks > 0 -> ticks - 1 : 0)

proctype clock()
{
	do
	:: d_step {
		printf("clock: tick\n");
		down(young);
		for (i : 0 .. VERIFIERS - 1) {
			down(lease[i].left);
			lease[i].acked = (lease[i].left > 0 -> lease[i].acked : 0);
			down(verifier[i].trust);
			for (j : 0 .. RENEWALS - 1) {
				down(verifier[i].renewal[j].trust);
				down(verifier[i].renewal[j].left)
			}
		}
#if AGES
		for (i : 1 .. newest) {
			age[i] = (age[i] <= BOUND -> age[i] + 1 : age[i]);
			assert(!(age[i] > BOUND && held(i))) /* the bound */
		}
#endif
		i = 0;
		j = 0
	}
	od
}

inline forget_renewal(old)
{
	old.state = none;
	old.trust = 0;
	old.left = 0;
	old.rejoins = false;
	old.catch_up = 0
}

proctype authority()
{
	do
	:: d_step {
		newest < REVISIONS ->
		newest++;
		touches[newest] = true;
		retired[current] = newest;
		printf("authority: commits revision %d, which retires secret %d\n", newest, current);
		current++
	}
	:: d_step {
		OTHERS && newest < REVISIONS ->
		newest++;
		printf("authority: commits revision %d, of something else\n", newest)
	}
	:: d_step {
#ifdef STALE_LOOK /* the look that lets a caller go may be older than the commit */
		looked < REVISIONS && passes(looked + 1) ->
		looked++;
		printf("authority: looks at the leases: none would hold revision %d\n", looked)
	}
	:: d_step {
		answered < newest && answered < looked ->
#else
		answered < newest && passes(answered + 1) ->
#endif
		answered++;
		printf("authority: no lease holds revision %d, its caller has the answer\n", answered)
	}
	:: d_step { /* crash or failover of the database: the unlogged lease table is empty */
		young = TTL;
		for (i : 0 .. VERIFIERS - 1) {
			lease[i].left = 0;
			lease[i].acked = 0;
			for (j : 0 .. RENEWALS - 1) { /* with every transaction */
				if
				:: verifier[i].renewal[j].state == begun ->
					forget_renewal(verifier[i].renewal[j])
				:: else
				fi
			}
		}
		i = 0;
		j = 0;
		printf("authority: the database restarts without its lease rows\n")
	}
	od
}

/* ---- A verifier's lease and watch --------------------------------------------------------------------------------------- */

inline drop_key()
{
	for (i : 0 .. REVISIONS - 1) {
		V.cached[i] = false
	}
	i = 0
}

inline forget_question(old)
{
	old.state = none;
	old.secret = 0;
	old.late = false;
	old.as_of = 0;
	old.accepted = false
}

proctype renewals(byte v, n)
{
	do
	:: d_step {
		N.state == none ->
		N.state = asked;
		N.trust = TRUST;
		printf("verifier %d: asks for renewal %d\n", v, n)
	}
	:: d_step { /* the acknowledgement rides on the renewal; a refused one is lost below */
		N.state == asked && !lags ->
		N.state = begun;
		N.left = TTL;
		printf("authority: reads the clock for renewal %d of verifier %d\n", n, v)
	}
	:: d_step {
		N.state == begun ->
		N.state = stored;
		first_half();
		printf("authority: renewal %d of verifier %d: first half, the row has %d ticks\n", n, v, L.left)
	}
	:: d_step {
		N.state == stored ->
		N.state = granted;
		second_half();
		printf("authority: renewal %d of verifier %d: second half, the row has %d ticks, catch_up_to %d\n", n, v, L.left, N.catch_up)
	}
	:: d_step {
		N.state == granted ->
		V.trust = (granted_trust > V.trust -> granted_trust : V.trust);
		V.catch_up = (N.catch_up > V.catch_up -> N.catch_up : V.catch_up);
		V.flag = (V.trust > 0);
		forget_renewal(N);
		printf("verifier %d: has the grant: %d ticks, catch_up_to %d\n", v, V.trust, V.catch_up)
	}
	:: d_step {
		N.state != none ->
		forget_renewal(N);
		printf("network: loses renewal %d of verifier %d, or its reply\n", n, v)
	}
	od
}

proctype acknowledgements(byte v)
{
	do
	:: d_step {
		L.left > 0 && L.acked < acknowledges ->
		L.acked = acknowledges;
		printf("authority: verifier %d has acknowledged %d\n", v, L.acked)
	}
#ifdef TIMER_FLAG
	:: d_step {
		V.flag && V.trust == 0 ->
		V.flag = false;
		printf("verifier %d: the timer says that the lease is over\n", v)
	}
#endif
	od
}

proctype watch(byte v)
{
	do
	:: d_step {
		V.applied < newest ->
		V.applied++;
		if
		:: touches[V.applied] ->
			V.touched = V.applied;
			drop_key()
		:: else
		fi;
		printf("verifier %d: applies revision %d\n", v, V.applied)
	}
	:: d_step { /* a new identity: nobody renews the old row, which could only have delayed a barrier, so it goes as well */
		drop_key();
		V.applied = newest;
		V.touched = newest;
		V.trust = 0;
		V.catch_up = 0;
		V.flag = false;
		for (j : 0 .. RENEWALS - 1) {
			forget_renewal(V.renewal[j])
		}
		j = 0;
		forget_question(V.gathering);
		forget_question(V.wire);
		L.left = 0;
		L.acked = 0;
		printf("verifier %d: restarts\n", v)
	}
	od
}

/* ---- A verifier's requests and questions -------------------------------------------------------------------------------- */

#define hit(s) (leased && V.applied >= V.catch_up && V.cached[s])

/* Requests with secret s. Arriving and looking into the cache are one step: a later look could only excuse more. */
proctype requests(byte v, s)
{
	do
	:: d_step {
		hit(s) ->
		printf("verifier %d: a request with secret %d is accepted from the cache\n", v, s);
		verdict(true, late(s))
	}
	:: d_step {
		!hit(s) && V.gathering.state == none ->
		V.gathering.state = asked;
		V.gathering.secret = s;
		V.gathering.late = late(s);
		printf("verifier %d: a request with secret %d misses\n", v, s)
	}
	:: d_step {
		!hit(s) && V.gathering.state == asked && V.gathering.secret == s ->
		V.gathering.late = V.gathering.late || late(s);
		printf("verifier %d: a request with secret %d joins the question that gathers\n", v, s)
	}
	:: d_step {
		may_join_wire && !hit(s) && V.wire.state != none && V.wire.secret == s ->
		V.wire.late = V.wire.late || late(s);
		printf("verifier %d: a request with secret %d joins the question on the wire\n", v, s)
	}
	od
}

proctype questions(byte v)
{
	do
	:: d_step {
		V.gathering.state == asked && V.wire.state == none ->
		V.wire.state = sent;
		V.wire.secret = V.gathering.secret;
		V.wire.late = V.gathering.late;
		forget_question(V.gathering);
		printf("verifier %d: sends the question about secret %d\n", v, V.wire.secret)
	}
	:: d_step {
		V.wire.state == sent ->
		V.wire.state = answering;
		V.wire.as_of = newest;
		V.wire.accepted = (V.wire.secret == current);
		printf("authority: takes the snapshot, as of %d, for verifier %d\n", V.wire.as_of, v)
	}
	:: d_step { /* checking and filling are one step, and so is applying a revision: one lock in the verifier */
		V.wire.state == answering ->
		printf("verifier %d: has the answer (accepted: %d), as of %d\n", v, V.wire.accepted, V.wire.as_of);
		verdict(V.wire.accepted, V.wire.late);
		if
		:: V.wire.accepted && may_fill ->
			V.cached[V.wire.secret] = true
		:: else
		fi;
		forget_question(V.wire)
	}
	:: d_step {
		V.wire.state != none ->
		forget_question(V.wire);
		printf("network: loses the question of verifier %d, or its answer\n", v)
	}
	od
}

init
{
	byte v, s;
	atomic {
		run clock();
		run authority();
		for (v : 0 .. VERIFIERS - 1) {
			for (s : 0 .. RENEWALS - 1) {
				V.renewal[s].state = none;
				run renewals(v, s)
			}
			V.gathering.state = none;
			V.wire.state = none;
			run acknowledgements(v);
			run watch(v);
#if REQUESTS
			run questions(v);
			for (s : 0 .. REVISIONS - 1) {
				run requests(v, s)
			}
#endif
		}
		v = 0;
		s = 0
	}
}
