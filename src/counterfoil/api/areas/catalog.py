"""Products, categories and subcategories; work roles, work types and expense types."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.shapes import shape
from counterfoil.catalog import commands, queries
from counterfoil.catalog.models import Category, ExpenseType, Product, Subcategory, WorkRole, WorkType

area = Area("Products")

products = shape(Product)
work_roles = shape(WorkRole)
work_types = shape(WorkType)
expense_types = shape(ExpenseType)
subcategories = shape(Subcategory)
categories = shape(Category, parts={"subcategories": subcategories})

area.records("/categories", categories, queries.categories)
area.post("/categories", commands.create_category, categories)
area.detail("/categories/{category_id}", categories)
area.records("/subcategories", subcategories, queries.subcategories)
area.post("/categories/{category_id}/subcategories", commands.create_subcategory, subcategories)

area.records("/products", products, queries.products)
area.post("/products", commands.create_product, products)
area.detail("/products/{product_id}", products)
area.patch("/products/{product_id}", commands.update_product, products)
area.act("/products/{product_id}/deactivate", commands.deactivate_product, products)
area.act("/products/{product_id}/reactivate", commands.reactivate_product, products)

area.records("/work-roles", work_roles, queries.work_roles)
area.post("/work-roles", commands.create_work_role, work_roles)
area.detail("/work-roles/{work_role_id}", work_roles)
area.patch("/work-roles/{work_role_id}", commands.update_work_role, work_roles)
area.records("/work-types", work_types, queries.work_types)
area.post("/work-types", commands.create_work_type, work_types)
area.detail("/work-types/{work_type_id}", work_types)
area.patch("/work-types/{work_type_id}", commands.update_work_type, work_types)
area.records("/expense-types", expense_types, queries.expense_types)
area.post("/expense-types", commands.create_expense_type, expense_types)
area.detail("/expense-types/{expense_type_id}", expense_types)
area.patch("/expense-types/{expense_type_id}", commands.update_expense_type, expense_types)
