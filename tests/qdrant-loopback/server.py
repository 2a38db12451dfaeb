"""A Qdrant server for tests: Qdrant's own local engine behind Qdrant's own gRPC contract, in memory, on loopback.

It speaks the calls that the catalogue makes. It is stricter than a server in one thing: a filter on a field without a
payload index is refused, as a server in strict mode does. It never listens anywhere but on loopback. It keeps nothing,
unless `--folder` names a place for it; then it is there again after a restart or a kill.

Prints {"port": N} on standard output when it is ready, and ends when standard input closes. `--port N` asks for a port.
With `--config-path FILE` it takes its gRPC port from Qdrant's own configuration instead and ends with a signal;
`--version` answers as Qdrant's does.

What it does not have, because the local engine has not: approximation (vector index, quantisation), segments, shards,
and rarity that counts what was deleted until the next optimisation.
"""

import argparse
import functools
import json
import os
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import grpc as transport
from qdrant_client import grpc
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc.collections_service_pb2_grpc import CollectionsServicer, add_CollectionsServicer_to_server
from qdrant_client.grpc.points_service_pb2_grpc import PointsServicer, add_PointsServicer_to_server
from qdrant_client.grpc.qdrant_pb2_grpc import QdrantServicer, add_QdrantServicer_to_server
from qdrant_client.http import models
from qdrant_client.local.qdrant_local import QdrantLocal


class Refused(Exception):
    """A request the server does not carry out, with its status."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def call(method):
    """Turns the engine's exceptions into the statuses a server gives."""

    @functools.wraps(method)
    def answer(self, request, context):
        try:
            return method(self, request)
        except Refused as refused:
            context.abort(refused.code, str(refused))
        except (ValueError, KeyError, TypeError) as error:
            context.abort(transport.StatusCode.INVALID_ARGUMENT, f"Wrong input: {error}")

    return answer


class Engine:
    """The collections and which of their fields are indexed, kept in a folder if there is one."""

    def __init__(self, folder=None):
        # Calls are answered by one thread, which is not the one that makes the engine.
        self.local = QdrantLocal(folder or ":memory:", force_disable_check_same_thread=True)
        self.indexes = os.path.join(folder, "indexes.json") if folder else None
        self.indexed = {}
        if self.indexes and os.path.exists(self.indexes):
            with open(self.indexes) as kept:
                self.indexed = json.load(kept)

    def save(self):
        if self.indexes:
            with open(self.indexes + ".new", "w") as kept:
                json.dump(self.indexed, kept)
            os.replace(self.indexes + ".new", self.indexes)

    def existing(self, name):
        """The name of a collection, from its own or that of an alias."""
        name = self.local.aliases.get(name, name)
        if name not in self.indexed:
            raise Refused(transport.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
        return name

    def check(self, collection, found):
        """Every field that a filter names must be indexed."""
        if found is None:
            return None
        for condition in [*(found.must or []), *(found.should or []), *(found.must_not or [])]:
            if isinstance(condition, models.Filter):
                self.check(collection, condition)
            elif isinstance(condition, models.FieldCondition) and condition.key not in self.indexed[collection]:
                raise Refused(
                    transport.StatusCode.INVALID_ARGUMENT,
                    f"Bad request: Index required but not found for \"{condition.key}\"",
                )
        return found

    def filter(self, request, field="filter"):
        given = GrpcToRest.convert_filter(getattr(request, field)) if request.HasField(field) else None
        return self.check(self.existing(request.collection_name), given)


class Health(QdrantServicer):
    def HealthCheck(self, request, context):
        return grpc.HealthCheckReply(title="qdrant - vector search engine", version=version("qdrant-client"))


class Collections(CollectionsServicer):
    def __init__(self, engine):
        self.engine = engine

    @call
    def CollectionExists(self, request):
        exists = self.engine.local.collection_exists(request.collection_name)
        return grpc.CollectionExistsResponse(result=grpc.CollectionExists(exists=exists))

    @call
    def Create(self, request):
        self.engine.local.create_collection(
            request.collection_name,
            vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors_config=GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config),
            metadata=GrpcToRest.convert_payload(request.metadata),
        )
        self.engine.indexed[request.collection_name] = {}
        self.engine.save()
        return grpc.CollectionOperationResponse(result=True)

    @call
    def Get(self, request):
        name = self.engine.existing(request.collection_name)
        found = RestToGrpc.convert_collection_info(self.engine.local.get_collection(name))
        for field, kind in self.engine.indexed[name].items():
            found.payload_schema[field].data_type = kind
        return grpc.GetCollectionInfoResponse(result=found)

    @call
    def Delete(self, request):
        self.engine.local.delete_collection(request.collection_name)
        existed = self.engine.indexed.pop(request.collection_name, None) is not None
        self.engine.save()
        return grpc.CollectionOperationResponse(result=existed)

    @call
    def List(self, request):
        found = self.engine.local.get_collections().collections
        return grpc.ListCollectionsResponse(collections=[grpc.CollectionDescription(name=one.name) for one in found])

    @call
    def UpdateAliases(self, request):
        for action in request.actions:
            if action.HasField("create_alias") and action.create_alias.collection_name not in self.engine.indexed:
                self.engine.existing(action.create_alias.collection_name)
        actions = [GrpcToRest.convert_alias_operations(one) for one in request.actions]
        return grpc.CollectionOperationResponse(result=self.engine.local.update_collection_aliases(actions))

    @call
    def ListAliases(self, request):
        found = self.engine.local.get_aliases().aliases
        return grpc.ListAliasesResponse(aliases=[RestToGrpc.convert_alias_description(one) for one in found])


class Points(PointsServicer):
    def __init__(self, engine):
        self.engine = engine

    @call
    def CreateFieldIndex(self, request):
        # Field types and schema types share names but not numbers.
        kind = grpc.FieldType.Name(request.field_type).removeprefix("FieldType")
        indexed = self.engine.indexed[self.engine.existing(request.collection_name)]
        indexed[request.field_name] = grpc.PayloadSchemaType.Value(kind)
        self.engine.save()
        return done()

    @call
    def UpdateBatch(self, request):
        name = self.engine.existing(request.collection_name)
        operations = [GrpcToRest.convert_points_update_operation(one) for one in request.operations]
        for operation in operations:
            if isinstance(operation, models.UpsertOperation):
                self.engine.check(name, operation.upsert.update_filter)
        self.engine.local.batch_update_points(name, operations)
        return grpc.UpdateBatchResponse(result=[done().result for _ in operations])

    @call
    def Get(self, request):
        name = self.engine.existing(request.collection_name)
        found = self.engine.local.retrieve(
            name,
            [GrpcToRest.convert_point_id(one) for one in request.ids],
            with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
            with_vectors=vectors(request),
        )
        return grpc.GetResponse(result=[RestToGrpc.convert_retrieved_point(one) for one in found])

    @call
    def Count(self, request):
        name = self.engine.existing(request.collection_name)
        counted = self.engine.local.count(name, count_filter=self.engine.filter(request))
        return grpc.CountResponse(result=grpc.CountResult(count=counted.count))

    @call
    def Scroll(self, request):
        name = self.engine.existing(request.collection_name)
        order = GrpcToRest.convert_order_by(request.order_by) if request.HasField("order_by") else None
        if order is not None and order.key not in self.engine.indexed[name]:
            raise Refused(transport.StatusCode.INVALID_ARGUMENT, f"Bad request: No range index for `{order.key}`")
        found, following = self.engine.local.scroll(
            name,
            scroll_filter=self.engine.filter(request),
            limit=request.limit,
            order_by=order,
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
            with_vectors=vectors(request),
        )
        return grpc.ScrollResponse(
            result=[RestToGrpc.convert_retrieved_point(one) for one in found],
            next_page_offset=None if following is None else RestToGrpc.convert_extended_point_id(following),
        )

    @call
    def Facet(self, request):
        name = self.engine.existing(request.collection_name)
        if request.key not in self.engine.indexed[name]:
            raise Refused(
                transport.StatusCode.INVALID_ARGUMENT,
                f"Bad request: Index required but not found for \"{request.key}\"",
            )
        found = self.engine.local.facet(
            name,
            request.key,
            facet_filter=self.engine.filter(request, "filter"),
            limit=request.limit if request.HasField("limit") else 10,
            exact=True,
        )
        return grpc.FacetResponse(hits=[RestToGrpc.convert_facet_value_hit(one) for one in found.hits])

    @call
    def QueryBatch(self, request):
        name = self.engine.existing(request.collection_name)
        queries = [GrpcToRest.convert_query_points(one) for one in request.query_points]
        for query in queries:
            self.engine.check(name, query.filter)
        answers = self.engine.local.query_batch_points(name, queries)
        results = [[RestToGrpc.convert_scored_point(one) for one in answer.points] for answer in answers]
        return grpc.QueryBatchResponse(result=[grpc.BatchResult(result=result) for result in results])


def vectors(request):
    """Which vectors to give back; none where nothing is said."""
    if not request.HasField("with_vectors"):
        return False
    return GrpcToRest.convert_with_vectors_selector(request.with_vectors)


def done():
    return grpc.PointsOperationResponse(
        result=grpc.UpdateResult(operation_id=0, status=grpc.UpdateStatus.Completed)
    )


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config-path")
    arguments.add_argument("--folder")
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--version", action="version", version=f"qdrant {version('qdrant-client')}")
    given = arguments.parse_args()
    config = given.config_path
    port = json.load(open(config))["service"]["grpc_port"] if config else given.port
    # The engine says at every search that it is exact and takes no notice of indexes.
    warnings.simplefilter("ignore")
    engine = Engine(given.folder)
    # The engine is made for one caller, so one thread answers.
    server = transport.server(ThreadPoolExecutor(max_workers=1))
    add_QdrantServicer_to_server(Health(), server)
    add_CollectionsServicer_to_server(Collections(engine), server)
    add_PointsServicer_to_server(Points(engine), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(json.dumps({"port": port}), flush=True)
    if config:
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
    else:
        sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
