/*
 * The protocol of a claim: claim, lease, lapse, takeover, hold, complete, reconcile, on one key.
 *
 * What is modelled: a store whose every transition is one atomic step; workers that may crash, or pause past their
 * lease, between any two steps; replies that are lost and asked for again; a lease that may lapse at any moment; somebody
 * who is asked what became of a held operation, and whose answer may travel for long.
 * What is left out: time itself (a lapse just happens), retention, steps, inputs.
 *
 * Words as in the code. `effects` counts what happened in the world and cannot be taken back.
 *
 * Modes, chosen by macros:
 *   (none)       onCrash hold: a lapsed claim becomes held
 *   RERUN        onCrash rerun: a lapsed claim is taken over
 *   TRANSACTION  with RERUN: the effect and the completion are one step
 *   DOWNSTREAM   with RERUN: the external system deduplicates by a key of the operation
 *   LOCK         no record at all: a lock with a lease around the work
 * What must hold, beside what always must:
 *   ONE_EFFECT   at most one effect
 *   ONE_HOLDER   at most one worker inside the lock
 * Faults, put in to see the model turn red:
 *   IGNORE_HOLD     a lapsed claim is taken over although it holds
 *   ANY_COMPLETES   a completion is not checked for its owner
 *   BEGIN_LATE      work begins although its claim may have lapsed
 *   BLIND_RESOLVE   an answer of reconcile is not checked for its fence
 *   SAME_FENCE      a takeover does not raise the fence
 */
#ifndef WORKERS
#define WORKERS 2
#endif
/* How often each worker calls. */
#ifndef CALLS
#define CALLS 2
#endif

/* The model ends where so many claims have been granted. */
#ifndef MOST
#define MOST 4
#endif

#define NOBODY 0

mtype = { absent, running, held, done, released };
mtype = { granted, busy, isheld, isdone };

/* The record. `owner` is the nonce of the claim, or NOBODY. */
mtype state = absent;
byte owner = NOBODY;
byte fence = 0;
bool lapsed = false;
byte outcome = 0;

/* What an all-seeing observer knows. */
byte effects = 0;
byte live = 0;      /* workers whose work has begun and may still act */
byte inside = 0;    /* workers inside the lock */
byte highest = 0;   /* the highest fence ever granted */
byte outcomes = 0;  /* how often an outcome was written */
bool ended = false; /* the operation was done */

inline grant(nonce)
{
  lapsed = false;
  owner = nonce;
#ifdef SAME_FENCE
  fence = (state == running -> fence : fence + 1);
#else
  fence = fence + 1;
#endif
  state = running;
  assert(fence > highest);
  assert(!ended);
  highest = fence
}

/* The store decides a claim. A claim repeated under its nonce is the same claim. */
inline claim(nonce, reply, mine)
{
  d_step {
    reply = busy;
    if
    :: state == running && owner == nonce -> lapsed = false; reply = granted; mine = fence
    :: state == running && owner != nonce && lapsed && fence == MOST -> reply = busy
    :: state == running && owner != nonce && lapsed && fence < MOST ->
#if defined(RERUN) || defined(IGNORE_HOLD)
         grant(nonce); reply = granted; mine = fence
#else
         state = held; owner = NOBODY; reply = isheld
#endif
    :: state == running && owner != nonce && !lapsed -> reply = busy
    :: state == held -> reply = isheld
    :: state == done -> reply = isdone
    :: (state == absent || state == released) && fence == MOST -> reply = busy
    :: (state == absent || state == released) && fence < MOST -> grant(nonce); reply = granted; mine = fence
    fi
  }
}

inline complete(nonce, mine)
{
  d_step {
    if
#ifdef ANY_COMPLETES
    :: state == running ->
#else
    :: state == running && owner == nonce && fence == mine ->
#endif
         assert(mine == highest);
         assert(outcomes == 0);
         state = done; outcome = nonce; outcomes++; ended = true
    :: else -> skip /* a stale owner changes nothing */
    fi
  }
}

inline leave(nonce, mine, next)
{
  d_step {
    if
    :: state == running && owner == nonce && fence == mine -> state = next
    :: else -> skip
    fi
  }
}

inline act()
{
  d_step {
#ifdef DOWNSTREAM
    if
    :: effects == 0 -> effects++
    :: else -> skip /* the external system knows the key */
    fi
#else
    effects++
#endif
  }
#ifdef ONE_EFFECT
  assert(effects <= 1)
#endif
}

/* One worker: it calls a few times, and at every step it may crash; a pause is just that the others go on. */
proctype Worker(byte id)
{
  byte calls = 0;
  byte nonce;
  byte mine;
  mtype reply;
call:
  if
  :: calls == CALLS -> goto out
  :: calls < CALLS -> calls++; nonce = id * CALLS + calls
  fi;
ask:
  claim(nonce, reply, mine);
  if
  :: skip            /* the reply arrives */
  :: goto ask        /* it is lost: asked again under the same nonce */
  :: goto call       /* it is lost, and the caller has gone; or it crashed */
  fi;
  if
  :: reply != granted -> goto call
  :: reply == granted -> skip
  fi;
  /* Work begins only while this claim cannot have lapsed: the own deadline comes before the store's. */
  atomic {
#ifndef BEGIN_LATE
    if
    :: state == running && owner == nonce && !lapsed -> skip
    :: else -> goto ask
    fi;
#endif
    live++
  };
#ifdef TRANSACTION
  /* The effect and the completion commit together, or neither does. */
  if
  :: live--; goto call /* crash */
  :: atomic {
       if
       :: state == running && owner == nonce && fence == mine -> act(); complete(nonce, mine)
       :: else -> skip
       fi;
       live--
     };
     goto call
  fi;
#else
  if
  :: live--; goto call                                                  /* crash before the effect */
  :: atomic { live--; skip }; leave(nonce, mine, released); goto call   /* it threw: no effect */
  :: atomic { live--; skip }; leave(nonce, mine, held); goto call       /* it threw: who knows */
  :: skip
  fi;
  atomic { act(); live-- };
  if
  :: goto call                                      /* crash after the effect */
  :: leave(nonce, mine, held); goto call            /* it threw after the effect */
  :: skip
  fi;
again:
  complete(nonce, mine);
  if
  :: skip
  :: goto again /* the reply is lost: completed again */
  fi;
  goto call;
#endif
out:
  skip
}

/* A lease may lapse at any moment. */
active proctype Clock()
{
end:
  do
  :: d_step { state == running && !lapsed -> lapsed = true }
  od
}

/* Somebody is asked what became of a held operation. Two ask at once, which exclusive turns only make rarer. */
active [2] proctype Reconciler()
{
  byte seen;
  bool happened;
end:
  do
  :: atomic { state == held -> seen = fence; happened = (effects > 0) };
     if
     :: happened ->
          d_step {
            if
#ifdef BLIND_RESOLVE
            :: state == held || state == running ->
#else
            :: state == held && fence == seen ->
#endif
                 assert(outcomes == 0);
                 state = done; outcome = 255; outcomes++; ended = true; owner = NOBODY
            :: else -> skip
            fi
          }
     :: !happened ->
          /* It says that nothing happened only when nothing can happen any more. */
          atomic {
            if
            :: effects == 0 && live == 0 -> skip
            :: else -> goto end
            fi
          };
          d_step {
            if
#ifdef BLIND_RESOLVE
            :: state == held || state == running -> state = released; owner = NOBODY
#else
            :: state == held && fence == seen -> state = released; owner = NOBODY
#endif
            :: else -> skip
            fi
          }
     fi
  od
}

/* A worker that believes in a lock: it takes it, works, and gives it back. */
proctype Holder(byte id)
{
  byte calls = 0;
  do
  :: calls < CALLS ->
       calls++;
       atomic { state != running || lapsed -> state = running; owner = id; lapsed = false };
       atomic {
         inside++;
#ifdef ONE_HOLDER
         assert(inside <= 1)
#endif
       };
       atomic {
         inside--;
         if
         :: owner == id -> state = released
         :: else -> skip
         fi
       }
  :: calls == CALLS -> break
  od
}

init
{
  byte worker = 0;
  atomic {
    do
    :: worker < WORKERS ->
         worker++;
#ifdef LOCK
         run Holder(worker)
#else
         run Worker(worker - 1)
#endif
    :: worker == WORKERS -> break
    od
  }
}
