package iap.session;

import jakarta.servlet.ServletOutputStream;
import jakarta.servlet.WriteListener;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpServletResponseWrapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.Charset;

/** A response that saves the session before whatever may commit it. */
final class SessionResponse extends HttpServletResponseWrapper {
    /** Bytes of a character in any encoding, at most. */
    private static final int WIDEST = 4;

    private final Store store;
    private long written;
    private long announced = Long.MAX_VALUE;
    private ServletOutputStream stream;
    private PrintWriter writer;

    SessionResponse(HttpServletResponse response, Store store) {
        super(response);
        this.store = store;
    }

    private void save() {
        if (!isCommitted()) {
            store.save();
        }
    }

    /** Called before so many bytes are written: with them the buffer may be full, or the response complete. */
    private void willWrite(long bytes) {
        if (written + bytes >= Math.min(getBufferSize(), announced)) {
            save();
        }
        written += bytes;
    }

    @Override
    public void flushBuffer() throws IOException {
        save();
        super.flushBuffer();
    }

    @Override
    public void sendError(int status) throws IOException {
        save();
        super.sendError(status);
    }

    @Override
    public void sendError(int status, String message) throws IOException {
        save();
        super.sendError(status, message);
    }

    @Override
    public void sendRedirect(String location) throws IOException {
        save();
        super.sendRedirect(location);
    }

    @Override
    public void reset() {
        super.reset();
        written = 0;
        announced = Long.MAX_VALUE;
        stream = null;
        writer = null;
    }

    @Override
    public void resetBuffer() {
        super.resetBuffer();
        written = 0;
    }

    @Override
    public void setContentLength(int length) {
        announced = length;
        super.setContentLength(length);
    }

    @Override
    public void setContentLengthLong(long length) {
        announced = length;
        super.setContentLengthLong(length);
    }

    @Override
    public ServletOutputStream getOutputStream() throws IOException {
        if (stream == null) {
            stream = new Stream(super.getOutputStream());
        }
        return stream;
    }

    @Override
    public PrintWriter getWriter() throws IOException {
        if (writer == null) {
            PrintWriter container = super.getWriter();
            writer = new PrintWriter(new Characters(container)) {
                @Override
                public boolean checkError() {
                    flush();
                    return container.checkError();
                }
            };
        }
        return writer;
    }

    private final class Stream extends ServletOutputStream {
        private final ServletOutputStream out;

        Stream(ServletOutputStream out) {
            this.out = out;
        }

        @Override
        public void write(int octet) throws IOException {
            willWrite(1);
            out.write(octet);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            willWrite(length);
            out.write(bytes, offset, length);
        }

        @Override
        public void flush() throws IOException {
            save();
            out.flush();
        }

        @Override
        public void close() throws IOException {
            save();
            out.close();
        }

        @Override
        public boolean isReady() {
            return out.isReady();
        }

        @Override
        public void setWriteListener(WriteListener listener) {
            out.setWriteListener(listener);
        }
    }

    private final class Characters extends Writer {
        private final PrintWriter out;
        private final int ascii;

        Characters(PrintWriter out) {
            this.out = out;
            Charset charset = Charset.forName(getCharacterEncoding());
            // What stands before a text, a byte order mark, does not count.
            ascii = "aa".getBytes(charset).length - "a".getBytes(charset).length;
        }

        @Override
        public void write(char[] characters, int offset, int length) {
            long bytes = 0;
            for (int index = offset; index < offset + length; index++) {
                bytes += characters[index] < 0x80 ? ascii : WIDEST;
            }
            willWrite(bytes);
            out.write(characters, offset, length);
        }

        @Override
        public void flush() {
            save();
            out.flush();
        }

        @Override
        public void close() {
            save();
            out.close();
        }
    }
}
