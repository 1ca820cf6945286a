import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Callable;

/** Where the server is, what is stored there, and how to report (as scripts/exercise.py does). */
final class Exercise {
    static final String URL = System.getenv("BLEEPSTORE_TEST_URL");
    static final String BUCKET = System.getenv("BLEEPSTORE_TEST_BUCKET");
    static final byte[] SMALL = small();
    static final byte[] LARGE = large();
    static final List<String> AWKWARD_KEYS = List.of(
            "odd/with space", "odd/a+b", "odd/100%", "odd/%41 percent", "odd/key=value&x=y",
            "odd/grüße/日本語 🙂", "odd/q?m#h;c:a@e!$'(),*~[x]", "odd//double//slash");

    private static boolean failed;

    /** One part of the program, which may fail in any way. */
    interface Work {
        void run() throws Exception;
    }

    private static byte[] small() {
        byte[] made = new byte[1024];
        for (int n = 0; n < made.length; n++) {
            made[n] = (byte) n;
        }
        return made;
    }

    private static byte[] large() {
        byte[] made = new byte[18 * 1024 * 1024];
        for (int n = 0; n < made.length / 32; n++) {
            System.arraycopy(digest("SHA-256", String.valueOf(n).getBytes()), 0, made, n * 32, 32);
        }
        return made;
    }

    private static byte[] digest(String algorithm, byte[] body) {
        try {
            return MessageDigest.getInstance(algorithm).digest(body);
        } catch (java.security.GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static String quoted(String text) {
        StringBuilder made = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            made.append(c < 32 || c > 126 || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : c);
        }
        return made.append('"').toString();
    }

    /** One operation: done when the work returns, failed when it throws; the program goes on either way. */
    static void doing(String operation, Work work) {
        try {
            work.run();
            System.out.printf("{\"done\": %s}%n", quoted(operation));
        } catch (Exception | AssertionError error) {
            failed = true;
            java.io.StringWriter trace = new java.io.StringWriter();
            error.printStackTrace(new java.io.PrintWriter(trace));
            System.out.printf("{\"failed\": %s, \"why\": %s}%n", quoted(operation), quoted(trace.toString()));
        }
    }

    /** Claim that this object is there at the end of the program; the test reads it. */
    static void stored(String key, byte[] body) {
        String md5 = HexFormat.of().formatHex(digest("MD5", body));
        System.out.printf("{\"stored\": %s, \"md5\": \"%s\"}%n", quoted(key), md5);
    }

    static void equal(Object found, Object expected) {
        if (!expected.equals(found)) {
            throw new AssertionError("found " + found + ", expected " + expected);
        }
    }

    static void same(byte[] found, byte[] expected) {
        if (!Arrays.equals(found, expected)) {
            throw new AssertionError("found " + found.length + " bytes that differ from those expected");
        }
    }

    /** The error that the work must end with. */
    static <E extends Exception> E refused(Class<E> kind, Callable<?> work) throws Exception {
        try {
            work.call();
        } catch (Exception error) {
            Throwable cause = error instanceof java.util.concurrent.CompletionException ? error.getCause() : error;
            if (kind.isInstance(cause)) {
                return kind.cast(cause);
            }
            throw error;
        }
        throw new AssertionError("was not refused");
    }

    static Path file(Path folder, String name, byte[] body) throws java.io.IOException {
        Path path = folder.resolve(name);
        Files.createDirectories(path.getParent());
        return Files.write(path, body);
    }

    static void finish() {
        System.exit(failed ? 1 : 0);
    }
}
