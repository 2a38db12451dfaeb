"""A foreign gRPC client: knows nothing of the contract but what reflection tells it.

Takes an address, host:port, and prints one JSON object: what each version of reflection lists, the health of each service,
and what came of calls made with dynamic messages. It never imports generated code of Broadsheet.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

DEADLINE_S = 20

# What is counted by year has a date.
DATED = {"published_time": "2026-03-01T00:00:00Z"}


def listed(channel, version):
    """Names of the services; both versions of the protocol have the same messages."""
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(ask(iter([request]), timeout=DEADLINE_S))
    return [service.name for service in answer.list_services_response.service]


def health(channel, services):
    stub = health_pb2_grpc.HealthStub(channel)
    answers = {}
    for service in services:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_S)
        answers[service] = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return answers


class Dynamic:
    """Calls unary methods by name with plain dictionaries."""

    def __init__(self, channel):
        self.channel = channel
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def call(self, service, method, request):
        described = self.pool.FindServiceByName(service).FindMethodByName(method)
        takes = message_factory.GetMessageClass(described.input_type)
        gives = message_factory.GetMessageClass(described.output_type)
        call = self.channel.unary_unary(
            f"/{service}/{method}", request_serializer=takes.SerializeToString, response_deserializer=gives.FromString
        )
        answer = call(json_format.ParseDict(request, takes()), timeout=DEADLINE_S)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)


def refusal(error):
    """What a failed call says, with the violations of google.rpc.BadRequest."""
    violations = []
    for detail in rpc_status.from_call(error).details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            violations += [[one.field, one.description] for one in bad.field_violations]
    return {"code": error.code().name, "message": error.details(), "violations": violations}


def search_until_found(client, query, wanted):
    """The paper is on its way through the services; asks until it is there or the caller gives up."""
    while True:
        found = client.call("broadsheet.search.v1.SearchService", "SearchPapers", {"query": query})
        if any(one["paper"]["id"] == wanted for one in found.get("results", [])):
            return found


def refused(client, service, method, request):
    """The refusal of a call that must fail."""
    try:
        client.call(service, method, request)
    except grpc.RpcError as error:
        return refusal(error)
    raise AssertionError(f"{method} answers {request}")


def searching(client, paper_id):
    """What the search says beyond a list of papers."""
    service = "broadsheet.search.v1.SearchService"
    other = {"id": "foreign-2", "title": "Seals by drone", "abstract": "Counting seals.", "source": "python"} | DATED
    client.call("broadsheet.ingest.v1.IngestService", "SubmitPaper", {"paper": other})
    search_until_found(client, "counting seals", "python:foreign-2")
    counted = {"fields": ["FACET_FIELD_SOURCE", "FACET_FIELD_YEAR"], "query": "source:python"}
    return {
        "similar": client.call(service, "ListSimilarPapers", {"positive_ids": [paper_id]}),
        "facets": client.call(service, "CountFacets", counted),
        "bad_query": refused(client, service, "SearchPapers", {"query": "whales year:20x4"}),
        "bad_example": refused(client, service, "ListSimilarPapers", {"positive_ids": [paper_id, "python:absent"]}),
    }


def main(address):
    with grpc.insecure_channel(address) as channel:
        client = Dynamic(channel)
        ingest = "broadsheet.ingest.v1.IngestService"
        said = {version: listed(channel, version) for version in ("v1", "v1alpha")}
        said["health"] = health(channel, [name for name in said["v1"] if name.startswith("broadsheet.")])
        good = {"id": "foreign-1", "title": "Whales by drone", "abstract": "Counting whales.", "source": "python"} | DATED
        said["submitted"] = client.call(ingest, "SubmitPaper", {"paper": good})
        paper_id = said["submitted"]["result"]["paper_id"]
        said["found"] = search_until_found(client, "counting whales", paper_id)
        said.update(searching(client, paper_id))
        bad = {"title": " ", "published_time": "2999-01-01T00:00:00Z"}
        said["refused"] = refused(client, ingest, "SubmitPaper", {"paper": bad})
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
