import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import java.util.zip.CRC32;

/**
 * Allocates hard in several threads while the collector's own threads move everything.
 *
 * Every worker keeps a map of live arrays whose content is a function of their key, replaces a part
 * of it in each round and checks all of it. A page that comes back wrong from a checkpoint, in the
 * heap, in a card table or in compiled code, ends in a failed check, another digest or a crash.
 *
 * usage: Churn ROUNDS
 */
public final class Churn {
    private static final int WORKERS = 4;
    private static final int KEYS = 400;

    private static long mix(long x) {
        x ^= x >>> 30;
        x *= 0xBF58476D1CE4E5B9L;
        x ^= x >>> 27;
        x *= 0x94D049BB133111EBL;
        return x ^ (x >>> 31);
    }

    private static byte[] content(long seed) {
        byte[] bytes = new byte[64 + (int) ((mix(seed) >>> 1) % 20000)];
        long x = seed;
        for (int i = 0; i < bytes.length; i++) {
            if ((i & 7) == 0) {
                x = mix(x + i);
            }
            bytes[i] = (byte) (x >>> (8 * (i & 7)));
        }
        return bytes;
    }

    private static final class Worker {
        private final int index;
        private final Map<Integer, byte[]> live = new HashMap<>();
        private final Map<Integer, Long> seeds = new HashMap<>();
        private long digest;

        Worker(int index) {
            this.index = index;
        }

        void round(int round) {
            for (int k = 0; k < KEYS / 8; k++) {
                int key = (int) ((mix(round * 1000L + k + index) >>> 1) % KEYS);
                long seed = mix(key * 31L + round * 7L + index);
                live.put(key, content(seed));
                seeds.put(key, seed);
            }
            List<String> rubbish = new ArrayList<>();
            for (int i = 0; i < 3000; i++) {
                rubbish.add("garbage " + i + " of round " + round);
            }
            digest = mix(digest + rubbish.get(round % 3000).hashCode());
            CRC32 crc = new CRC32();
            for (int key = 0; key < KEYS; key++) {
                byte[] bytes = live.get(key);
                if (bytes == null) {
                    continue;
                }
                crc.update(bytes);
                if ((key + round) % 16 == 0) {
                    byte[] expected = content(seeds.get(key));
                    if (!java.util.Arrays.equals(bytes, expected)) {
                        System.out.println("FAIL: worker " + index + " key " + key);
                        Runtime.getRuntime().halt(1);
                    }
                }
            }
            digest = mix(digest ^ crc.getValue());
        }
    }

    public static void main(String[] arguments) throws Exception {
        int rounds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 200;
        Worker[] workers = new Worker[WORKERS];
        int[] round = {0};
        // The last worker to arrive prints the line of the round, while the others wait parked.
        CyclicBarrier barrier = new CyclicBarrier(WORKERS, () -> {
            round[0]++;
            long joint = 0;
            for (Worker worker : workers) {
                joint = mix(joint + worker.digest);
            }
            System.out.println("round " + round[0] + " digest " + Long.toHexString(joint));
            System.out.flush();
        });
        Thread[] threads = new Thread[WORKERS];
        for (int index = 0; index < WORKERS; index++) {
            Worker worker = new Worker(index);
            workers[index] = worker;
            threads[index] = new Thread(() -> {
                try {
                    for (int i = 1; i <= rounds; i++) {
                        worker.round(i);
                        barrier.await();
                    }
                } catch (Throwable problem) {
                    System.out.println("FAIL: " + problem);
                    Runtime.getRuntime().halt(1);
                }
            });
        }
        for (Thread thread : threads) {
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("done");
    }
}
