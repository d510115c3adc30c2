package doorward;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.URLDecoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** Asks ../../../../person.js to do what a person does. */
final class Person {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Person() {}

    /** What came of a deed: {@code address} or {@code text}. */
    static String ask(String deed, Map<String, String> what, String answer) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("PERSON") + "/" + deed))
                .POST(HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(what)))
                .build();
        HttpResponse<String> response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IllegalStateException(response.body());
        }
        return JSON.readTree(response.body()).path(answer).asText();
    }

    /** The parameters that a sign-in brings back to the app. */
    static Map<String, String> signIn(String address, String email, String password) throws Exception {
        String back = ask("sign-in", Map.of("address", address, "email", email, "password", password), "address");
        Map<String, String> parameters = new HashMap<>();
        for (String pair : URI.create(back).getRawQuery().split("&")) {
            String[] parts = pair.split("=", 2);
            parameters.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
        }
        return parameters;
    }
}
