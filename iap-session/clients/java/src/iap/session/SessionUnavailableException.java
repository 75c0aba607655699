package iap.session;

/** There is no session right now. The filter answers 503 if nobody handles it. */
public class SessionUnavailableException extends SessionException {
    private static final long serialVersionUID = 1;

    private final String retryAfter;

    SessionUnavailableException(String message, int status, String kind, String retryAfter) {
        super(message, status, kind);
        this.retryAfter = retryAfter;
    }

    /** What {@code Retry-After} said, or null. */
    public String getRetryAfter() {
        return retryAfter;
    }
}
