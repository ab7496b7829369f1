package interop;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/** A wire between a client and the server that a test can cut and mend. */
final class Proxy implements AutoCloseable {
    private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final List<Socket> sockets = new ArrayList<>();
    private boolean cut;

    Proxy() throws IOException {
        spawn(this::accept);
    }

    String address() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    /** Drops every connection; new ones are dropped as well, until mended. */
    synchronized void cut() throws IOException {
        cut = true;
        for (Socket socket : sockets) {
            socket.close();
        }
        sockets.clear();
    }

    synchronized void mend() {
        cut = false;
    }

    private void accept() throws IOException {
        while (true) {
            Socket client = listener.accept();
            if (!join(client)) {
                client.close();
            }
        }
    }

    private synchronized boolean join(Socket client) throws IOException {
        if (cut) {
            return false;
        }
        int colon = Suite.FIRST.lastIndexOf(':');
        Socket server = new Socket(Suite.FIRST.substring(0, colon), Integer.parseInt(Suite.FIRST.substring(colon + 1)));
        sockets.add(client);
        sockets.add(server);
        spawn(() -> copy(client, server));
        spawn(() -> copy(server, client));
        return true;
    }

    private static void copy(Socket from, Socket to) throws IOException {
        try (from; to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            in.transferTo(out);
        }
    }

    private interface Work {
        void run() throws IOException;
    }

    private static void spawn(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (IOException closed) {
                // The other side, or the test, is done with this connection.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void close() throws IOException {
        cut();
        listener.close();
    }
}
