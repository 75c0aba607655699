<%@ page contentType="application/json" import="java.net.URI,java.net.http.*,java.net.http.HttpRequest.BodyPublishers" %><%
// What a Java application does to reach the session of its request: one HTTP call.
String user = request.getParameter("login");
HttpRequest.Builder call = HttpRequest.newBuilder()
    .header("Authorization", "Bearer " + request.getHeader("iap-session-token"))
    .header("Content-Type", "application/json");
String base = request.getHeader("iap-session-url") + "/session";
if (user == null) {
    call.uri(URI.create(base)).GET();
} else {
    call.uri(URI.create(base + "/login")).POST(BodyPublishers.ofString("{\"user\":\"" + user + "\"}"));
}
HttpResponse<String> answer = HttpClient.newHttpClient().send(call.build(), HttpResponse.BodyHandlers.ofString());
out.print(answer.body());
%>
