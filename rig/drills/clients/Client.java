// SPDX-License-Identifier: Apache-2.0

import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Phaser;
import java.util.concurrent.TimeUnit;
import sun.misc.Signal;

/** An HTTP client of java.net.http: Client.java ADDRESS RATE fresh|pooled. See README.md for what it prints. */
public class Client {
    private static final HttpClient CLIENT = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(1))
            .build();
    private static final Phaser RUNNING = new Phaser(1);

    public static void main(String[] args) throws Exception {
        var builder = HttpRequest.newBuilder(URI.create("http://" + args[0] + "/")).timeout(Duration.ofSeconds(2));
        var request = (args[2].equals("fresh") ? builder.header("Connection", "close") : builder).build();
        var rate = Integer.parseInt(args[1]);
        var stop = new CountDownLatch(1);
        Signal.handle(new Signal("TERM"), signal -> stop.countDown());
        var sent = 0;
        for (var begun = System.nanoTime(); ; sent++) {
            var due = begun + sent * 1_000_000_000L / rate;
            if (stop.await(due - System.nanoTime(), TimeUnit.NANOSECONDS)) break;
            send(request);
        }
        RUNNING.arriveAndAwaitAdvance();
        print("end " + sent);
        System.exit(0);
    }

    private static void send(HttpRequest request) {
        var began = System.nanoTime();
        RUNNING.register();
        CLIENT.sendAsync(request, BodyHandlers.ofString()).whenComplete((response, thrown) -> {
            var ms = (System.nanoTime() - began) / 1_000_000;
            var detail = thrown == null ? response.statusCode() : cause(thrown);
            print(result(thrown) + " " + ms + " " + detail);
            RUNNING.arriveAndDeregister();
        });
    }

    private static Throwable cause(Throwable thrown) {
        return thrown.getCause() == null ? thrown : thrown.getCause();
    }

    private static String result(Throwable thrown) {
        if (thrown == null) return "ok";
        for (var each = thrown; each != null; each = each.getCause())
            if (each instanceof ConnectException || each instanceof HttpConnectTimeoutException)
                return isReset(each) ? "established" : "connect";
        return "established";
    }

    /** A connect that is refused has another error: a connection that is reset was established. */
    private static boolean isReset(Throwable thrown) {
        return String.valueOf(thrown.getMessage()).contains("Connection reset");
    }

    private static synchronized void print(String line) {
        System.out.println(line.replace('\n', ' '));
    }
}
