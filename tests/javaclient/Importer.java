import com.unboundid.scim2.client.ScimService;
import com.unboundid.scim2.common.exceptions.BadRequestException;
import com.unboundid.scim2.common.exceptions.ResourceNotFoundException;
import com.unboundid.scim2.common.exceptions.ScimException;
import com.unboundid.scim2.common.filters.Filter;
import com.unboundid.scim2.common.messages.ListResponse;
import com.unboundid.scim2.common.messages.SortOrder;
import com.unboundid.scim2.common.types.GroupResource;
import com.unboundid.scim2.common.types.ResourceTypeResource;
import com.unboundid.scim2.common.types.SchemaResource;
import com.unboundid.scim2.common.types.UserResource;
import java.util.ArrayList;
import java.util.List;
import javax.ws.rs.client.ClientBuilder;
import javax.ws.rs.client.ClientRequestContext;
import javax.ws.rs.client.ClientRequestFilter;

/**
 * An importer made of the SCIM 2 SDK: what connectors built on it do when they
 * import. Every fact that it learns is a line "name value" of its output, and any
 * exception ends it.
 *
 * <p>usage: java Importer URL TOKEN
 */
public final class Importer {
  private Importer() {}

  public static void main(String[] args) throws Exception {
    ClientRequestFilter bearer =
        (ClientRequestContext request) ->
            request.getHeaders().putSingle("Authorization", "Bearer " + args[1]);
    ScimService scim =
        new ScimService(ClientBuilder.newClient().register(bearer).target(args[0]));
    discover(scim);
    String userName = users(scim);
    groups(scim);
    queries(scim, userName);
  }

  private static void say(String name, Object value) {
    System.out.println(name + " " + value);
  }

  private static void discover(ScimService scim) throws ScimException {
    say("filter", scim.getServiceProviderConfig().getFilter().isSupported());
    say("patch", scim.getServiceProviderConfig().getPatch().isSupported());
    for (ResourceTypeResource type : scim.getResourceTypes()) {
      say("type", scim.getResourceType(type.getName()).getEndpoint());
    }
    for (SchemaResource schema : scim.getSchemas()) {
      say("schema", scim.getSchema(schema.getId()).getId());
    }
  }

  private static String users(ScimService scim) throws ScimException {
    String userName = null;
    for (int start = 1, total = 1; start <= total; ) {
      ListResponse<UserResource> page =
          scim.searchRequest("Users").page(start, 60).invoke(UserResource.class);
      for (UserResource user : page) {
        say("user", user.getId());
        userName = user.getUserName();
      }
      total = page.getTotalResults();
      start += page.getItemsPerPage();
    }
    return userName;
  }

  private static void groups(ScimService scim) throws ScimException {
    ListResponse<GroupResource> page =
        scim.searchRequest("Groups").page(1, 1000).invokePost(GroupResource.class);
    for (GroupResource group : page) {
      say("group", group.getId());
      int members = group.getMembers() == null ? 0 : group.getMembers().size();
      say("members", group.getId() + " " + members);
    }
  }

  private static void queries(ScimService scim, String userName) throws ScimException {
    Filter byName = Filter.eq("userName", userName);
    UserResource found =
        scim.searchRequest("Users").filter(byName.toString()).invoke(UserResource.class).getResources().get(0);
    UserResource same = scim.retrieve("Users", found.getId(), UserResource.class);
    say("found", same.getUserName().equals(userName) && same.getMeta().getVersion() != null);
    say("unchanged", scim.retrieve(same).getMeta().getLastModified().equals(same.getMeta().getLastModified()));

    List<String> names = new ArrayList<>();
    for (UserResource user :
        scim.searchRequest("Users").sort("userName", SortOrder.DESCENDING).attributes("userName").page(1, 5).invoke(UserResource.class)) {
      names.add(user.getUserName());
    }
    say("sorted", String.join(" ", names));

    Filter both = Filter.and(Filter.pr("emails"), Filter.hasComplexValue("emails", Filter.and(Filter.eq("type", "work"), Filter.pr("value"))));
    say("filtered", scim.searchRequest("Users").filter(both.toString()).page(1, 1).invokePost(UserResource.class).getTotalResults() > 0);

    try {
      scim.retrieve("Users", "nobody", UserResource.class);
    } catch (ResourceNotFoundException e) {
      say("missing", e.getScimError().getStatus());
    }
    try {
      scim.searchRequest("Users").filter("bogus eq 1").invoke(UserResource.class);
    } catch (BadRequestException e) {
      say("refused", e.getScimError().getScimType());
    }
  }
}
