import iap.session.GatewaySession;
import iap.session.SessionException;
import iap.session.TestJson;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The application of the clients' tests as a servlet. */
public final class App extends HttpServlet {
    private static final long serialVersionUID = 1;

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response)
            throws IOException, ServletException {
        response.setCharacterEncoding("UTF-8");
        String action = request.getServletPath();
        switch (action) {
            case "/ready" -> response.getWriter().print("ok");
            case "/state" -> state(request, response);
            case "/bad" -> bad(request, response);
            case "/bad-inside" -> {
                List<Object> list = new ArrayList<>();
                request.getSession().setAttribute("list", list);
                list.add(new Date());
                response.getWriter().print("this is not to be seen");
            }
            case "/large" -> {
                request.getSession().setAttribute("large", "x".repeat(70_000));
                response.getWriter().print("this is not to be seen");
            }
            case "/late" -> {
                request.getSession().setAttribute("early", true);
                response.getWriter().print("first ");
                response.flushBuffer();
                late(request, response);
            }
            case "/fill" -> fill(request, response);
            case "/redirect" -> {
                request.getSession().setAttribute("redirected", true);
                response.sendRedirect("state");
            }
            case "/error" -> {
                request.getSession().setAttribute("failed", true);
                response.sendError(418);
            }
            case "/throw" -> {
                request.getSession().setAttribute("thrown", true);
                throw new ServletException("on purpose");
            }
            default -> change(action, request, response);
        }
    }

    private static void change(String action, HttpServletRequest request, HttpServletResponse response)
            throws IOException, ServletException {
        HttpSession session = request.getSession();
        String name = request.getParameter("name");
        switch (action) {
            case "/set" -> session.setAttribute(name, TestJson.parse(request.getParameter("value")));
            case "/append" -> {
                @SuppressWarnings("unchecked")
                List<Object> list = (List<Object>) session.getAttribute(name);
                list.add(TestJson.parse(request.getParameter("value")));
            }
            case "/remove" -> session.removeAttribute(name);
            case "/increment" -> {
                long by = Long.parseLong(request.getParameter("by"));
                response.getWriter().print(((GatewaySession) session).increment(name, by));
                return;
            }
            case "/exchange" -> {
                Object expected = TestJson.parse(request.getParameter("expected"));
                Object value = TestJson.parse(request.getParameter("value"));
                response.getWriter().print(((GatewaySession) session).compareAndSet(name, expected, value));
                return;
            }
            case "/handle" -> {
                response.getWriter().print(((GatewaySession) session).getHandle());
                return;
            }
            case "/login" -> {
                try {
                    ((GatewaySession) session).login(request.getParameter("user"));
                } catch (SessionException error) {
                    response.getWriter().print(TestJson.write(
                            Map.of("status", error.getStatus(), "kind", error.getKind())));
                    return;
                }
            }
            case "/logout" -> request.logout();
            case "/rotate" -> request.changeSessionId();
            case "/id" -> {
                response.getWriter().print(session.getId());
                return;
            }
            case "/destroy" -> {
                session.setAttribute("lost", true);
                session.invalidate();
                try {
                    session.getAttribute("lost");
                } catch (IllegalStateException expected) {
                    request.getSession().setAttribute("begun", true);
                }
            }
            default -> {
                response.sendError(404);
                return;
            }
        }
        state(request, response);
    }

    private static void state(HttpServletRequest request, HttpServletResponse response) throws IOException {
        HttpSession session = request.getSession(false);
        Map<String, Object> attributes = new LinkedHashMap<>();
        if (session != null) {
            for (String name : Collections.list(session.getAttributeNames())) {
                attributes.put(name, session.getAttribute(name));
            }
        }
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("user", request.getRemoteUser());
        state.put("new", session == null || session.isNew());
        state.put("attributes", attributes);
        response.setContentType("application/json");
        response.getWriter().print(TestJson.write(state));
    }

    private static void bad(HttpServletRequest request, HttpServletResponse response) throws IOException {
        List<Object> circle = new ArrayList<>();
        circle.add(circle);
        List<Object> values = Arrays.asList(new Date(), List.of(new Object()), Map.of(1, 2), Double.NaN, 1.5f,
                new byte[1], circle, "\ud800");
        List<Object> said = new ArrayList<>();
        for (Object wrong : values) {
            try {
                request.getSession().setAttribute("wrong", wrong);
            } catch (IllegalArgumentException error) {
                said.add(error.getClass().getSimpleName() + ": " + error.getMessage());
            }
        }
        response.getWriter().print(TestJson.write(Map.of("tried", values.size(), "said", said)));
    }

    /** Writes until the container's buffer is full; as a stream or with a writer. */
    private static void fill(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String kind = request.getParameter("kind");
        request.getSession().setAttribute(kind, 0);
        for (int count = 1; !response.isCommitted(); count++) {
            request.getSession().setAttribute(kind, count);
            if (kind.equals("stream")) {
                response.getOutputStream().write(new byte[100]);
            } else {
                response.getWriter().print(kind.equals("wide") ? "é".repeat(50) : "x".repeat(100));
            }
        }
    }

    private static void late(HttpServletRequest request, HttpServletResponse response) throws IOException {
        try {
            request.getSession().setAttribute("late", true);
        } catch (IllegalStateException error) {
            response.getWriter().print(error.getClass().getSimpleName());
        }
    }
}
