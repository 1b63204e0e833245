// Goroutines that allocate hard, channels, maps, timers, a mutex and the concurrent collector.
//
// The Go runtime gives memory back with MADV_DONTNEED and expects zeroes afterwards, preempts its
// threads with signals and makes raw system calls: three things that a checkpoint from inside the
// process gets wrong. Every block's content is a function of its key and is checked when it leaves.
//
// usage: churn ROUNDS
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

const workers = 8

type request struct {
	round int
	reply chan [32]byte
}

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xBF58476D1CE4E5B9
	x ^= x >> 27
	x *= 0x94D049BB133111EB
	return x ^ (x >> 31)
}

// A fresh block must be zero before it is filled: the runtime relies on that for reused pages.
func block(seed uint64) []byte {
	body := make([]byte, 16+mix(seed)%60000)
	for i := 0; i < len(body); i += 512 {
		if body[i] != 0 {
			fail("fresh memory is not zero at %d of %d", i, len(body))
		}
	}
	x := seed
	for i := 0; i+8 <= len(body); i += 8 {
		x = x*6364136223846793005 + 1442695040888963407
		binary.LittleEndian.PutUint64(body[i:], x)
	}
	return body
}

func fail(format string, arguments ...interface{}) {
	fmt.Printf("FAIL: "+format+"\n", arguments...)
	os.Exit(1)
}

func worker(index int, inbox <-chan request) {
	live := map[uint64][]byte{}
	var state [32]byte
	for job := range inbox {
		for k := 0; k < 12; k++ {
			key := mix(uint64(job.round*100+k*7+index)) % 64
			seed := key*1000003 + uint64(index)
			if old, known := live[key]; known {
				if !bytes.Equal(old, block(seed)) {
					fail("worker %d: block %d changed", index, key)
				}
				delete(live, key)
			} else {
				live[key] = block(seed)
			}
		}
		hash := sha256.New()
		hash.Write(state[:])
		for key := uint64(0); key < 64; key++ {
			hash.Write(live[key])
		}
		hash.Sum(state[:0])
		job.reply <- state
	}
}

func main() {
	rounds := 200
	if len(os.Args) > 1 {
		rounds, _ = strconv.Atoi(os.Args[1])
	}
	debug.SetGCPercent(40)
	var ticks int
	var lock sync.Mutex
	ticker := time.NewTicker(time.Millisecond)
	go func() {
		for range ticker.C {
			lock.Lock()
			ticks++
			lock.Unlock()
		}
	}()
	inboxes := make([]chan request, workers)
	for i := range inboxes {
		inboxes[i] = make(chan request, 1)
		go worker(i, inboxes[i])
	}
	var joint [32]byte
	for round := 1; round <= rounds; round++ {
		replies := make([]chan [32]byte, workers)
		for i, inbox := range inboxes {
			replies[i] = make(chan [32]byte)
			inbox <- request{round, replies[i]}
		}
		hash := sha256.New()
		hash.Write(joint[:])
		for _, reply := range replies {
			part := <-reply
			hash.Write(part[:])
		}
		hash.Sum(joint[:0])
		if round%50 == 0 {
			debug.FreeOSMemory()
		}
		runtime.Gosched()
		fmt.Printf("round %d state %x\n", round, joint[:16])
	}
	lock.Lock()
	defer lock.Unlock()
	if ticks == 0 {
		fail("the ticker never fired")
	}
	fmt.Println("done")
}
