package iap.session;

/** The session API has refused. No message holds a token or a value of the session. */
public class SessionException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int status;
    private final String kind;

    SessionException(String message, int status, String kind) {
        super(message);
        this.status = status;
        this.kind = kind;
    }

    /** The status of the API's answer, such as 409 for a login that the policy refuses; 0 if there was none. */
    public int getStatus() {
        return status;
    }

    /** The {@code kind} of the API's answer, or null. */
    public String getKind() {
        return kind;
    }
}
